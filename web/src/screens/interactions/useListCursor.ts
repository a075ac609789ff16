import { useCallback, useRef, useState } from "react";
import type { Interaction } from "~/api/client";
import { announce } from "~/ui/announce";
import { spokenName } from "~/ui/values";
import { allOrNone, extended, NOTHING, toggled } from "~/rules/selection";
import type { ListAddress } from "./useListAddress";

type ListCursorOptions = {
  address: ListAddress;
  interactions: Interaction[];
  /** The row that was chosen when the list was left. */
  initial: string | null;
  onChosen: (interaction: Interaction) => void;
};

export type ListCursor = ReturnType<typeof useListCursor>;

/** The current row, the open one, and the selected ones. */
export function useListCursor({ address, interactions, initial, onChosen }: ListCursorOptions) {
  const { open, change } = address;
  const [chosen, setChosen] = useState<string | null>(open ?? initial);
  const [selection, setSelection] = useState(NOTHING);
  const [isSelecting, setSelecting] = useState(false);
  const listed = useRef(interactions);
  listed.current = interactions;
  const ids = useCallback(() => listed.current.map(({ completion_id }) => completion_id), []);

  const choose = useCallback(
    (interaction: Interaction) => {
      setChosen(interaction.completion_id);
      onChosen(interaction);
    },
    [onChosen],
  );
  const show = useCallback(
    (interaction: Interaction | null) => {
      if (interaction) choose(interaction);
      void change({ open: interaction?.completion_id }, open !== null);
    },
    [change, choose, open],
  );
  const select = useCallback(
    ({ completion_id }: Interaction, isExtending: boolean) => {
      setSelection((before) => (isExtending ? extended(before, ids(), completion_id) : toggled(before, completion_id)));
      setChosen(completion_id);
    },
    [ids],
  );
  const onTap = useCallback(
    (interaction: Interaction) => (isSelecting ? select(interaction, false) : show(interaction)),
    [isSelecting, select, show],
  );
  const clearSelection = useCallback(() => {
    setSelection(NOTHING);
    setSelecting(false);
  }, []);
  const selectAll = useCallback(() => setSelection((before) => allOrNone(before, ids())), [ids]);
  const step = useCallback(
    (by: 1 | -1) => {
      const at = listed.current.findIndex(({ completion_id }) => completion_id === (open ?? chosen));
      const next = listed.current[at < 0 ? 0 : at + by];
      if (!next) return;
      if (open) return show(next);
      choose(next);
      announce(spokenName(next));
    },
    [open, chosen, show, choose],
  );
  return {
    chosen,
    /** The current row, if it is listed. */
    current: () => listed.current.find(({ completion_id }) => completion_id === chosen),
    show,
    step,
    /** Open the row, or select it while rows are being selected. */
    onTap,
    selection,
    setSelection,
    clearSelection,
    /** Whether rows are selected by tapping them. A telephone has no other way: its rows have no room for a checkbox. */
    isSelecting,
    setSelecting,
    select,
    selectAll,
  };
}
