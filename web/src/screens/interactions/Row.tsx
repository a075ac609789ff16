import { type MouseEvent, memo } from "react";
import type { Interaction } from "~/api/client";
import { cx } from "~/ui";
import type { Column, Shown } from "./columns";
import css from "./interactions.module.css";

type RowProps = {
  interaction: Interaction;
  at: number;
  isNarrow: boolean;
  columns: Column[];
  shown: Shown;
  template: string;
  pixels: Readonly<Record<string, number>>;
  href: (interaction: Interaction) => string;
  isChosen: boolean;
  isOpen: boolean;
  isSelected: boolean;
  onHover: (interaction: Interaction | null) => void;
  onOpen: (interaction: Interaction) => void;
  onSelect: (interaction: Interaction, isExtending: boolean) => void;
};

/** A row of the list. It is a link, so that it can also be opened in another tab. */
export const Row = memo(function Row(props: RowProps) {
  const { interaction, columns, shown, onSelect } = props;
  function onClick(event: MouseEvent) {
    // The middle button and the context menu work as on any link.
    if (event.button !== 0 || event.altKey) return;
    event.preventDefault();
    if (event.shiftKey || event.ctrlKey || event.metaKey) {
      // Otherwise the browser selects the text between both clicks.
      getSelection()?.removeAllRanges();
      onSelect(interaction, event.shiftKey);
    } else props.onOpen(interaction);
  }
  return (
    <div
      role="row"
      aria-rowindex={props.at + 2}
      aria-selected={props.isSelected}
      data-chosen={props.isChosen || undefined}
      data-open={props.isOpen || undefined}
      data-id={interaction.completion_id}
      className={cx(css.row, props.isNarrow && css.tall)}
      style={props.isNarrow ? undefined : { gridTemplateColumns: props.template }}
      onMouseEnter={() => props.onHover(interaction)}
      onMouseLeave={() => props.onHover(null)}
      onClick={onClick}
    >
      <span role="gridcell" className={css.mark}>
        <input
          type="checkbox"
          tabIndex={-1}
          aria-label="Select"
          checked={props.isSelected}
          onClick={(event) => {
            event.stopPropagation();
            onSelect(interaction, event.shiftKey);
          }}
          onChange={() => undefined}
        />
      </span>
      {columns.map((column, index) => (
        <span
          key={column.key}
          role="gridcell"
          data-column={column.key}
          className={column.number ? css.number : column.chips ? css.chips : undefined}
        >
          {index === 0 ? (
            <a href={props.href(interaction)} tabIndex={-1} className={css.link} aria-label="Open" draggable={false} />
          ) : null}
          {column.show(interaction, shown, props.pixels[column.key])}
        </span>
      ))}
    </div>
  );
});
