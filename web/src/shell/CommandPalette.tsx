import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useId, useState } from "react";
import { metricsQuery, projectsQuery } from "~/api/queries";
import { quoted } from "~/rules/language";
import { css as ui, cx, Dialog, Input, Kbd } from "~/ui";
import { fitting } from "./commands";
import { PROJECT_PLACES, SERVER_PLACES } from "./places";
import css from "./shell.module.css";
import { useMay } from "./useMay";

type PaletteProps = { project: string; onClose: () => void };

/** Go to any screen or project by a few letters of its name. */
export default function CommandPalette({ project, onClose }: PaletteProps) {
  const navigate = useNavigate();
  const may = useMay();
  const { data: projects = [] } = useQuery(projectsQuery);
  const { data: metrics = [] } = useQuery(metricsQuery(project, "all"));
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const listId = useId();
  const list = { to: "/p/$project/interactions", params: { project } } as const;
  const typed = text.trim();

  const places = [
    ...PROJECT_PLACES.map(([to, name, , key]) => ({ name, group: "Go to", key, run: () => navigate({ to, params: { project } }) })),
    ...SERVER_PLACES.filter(([to]) => to !== "/keys" || may("administer")).map(([to, name, , key]) => ({
      name,
      group: "Go to",
      key,
      run: () => navigate({ to }),
    })),
    ...projects.map((one) => ({
      name: one.name,
      group: "Project",
      run: () => navigate({ to: "/p/$project/interactions", params: { project: one.key } }),
    })),
    ...metrics.map((one) => ({
      name: one.name,
      group: "Metric",
      run: () => navigate({ to: "/p/$project/metrics", params: { project }, search: { metric: one.key } }),
    })),
  ];
  // A completion_id, also in the id of an answer.
  const completionId = /^(?:chatcmpl-|cmpl-|resp_|msg_)?([0-9a-f]{8}-[0-9a-f-]{27})$/i.exec(typed)?.[1];
  const direct = !typed
    ? []
    : completionId
      ? [
          {
            name: `Open ${completionId}`,
            group: "Interaction",
            run: () =>
              navigate({
                to: "/p/$project/interactions/$completionId",
                params: { project, completionId: completionId.toLowerCase() },
              }),
          },
        ]
      : [
          {
            name: `Find interactions with “${typed}”`,
            group: "Search",
            run: () => navigate({ ...list, search: { q: typed.includes(":") ? typed : quoted(typed) } }),
          },
        ];
  const found: { name: string; group: string; key?: string; run: () => unknown }[] = [...fitting(places, typed), ...direct];
  const chosen = Math.min(active, found.length - 1);

  function run(index: number) {
    const command = found[index];
    if (!command) return;
    onClose();
    void command.run();
  }
  function onKeyDown(event: KeyboardEvent) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && found.length) {
      event.preventDefault();
      setActive((chosen + by + found.length) % found.length);
      document.getElementById(`${listId}-${(chosen + by + found.length) % found.length}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(chosen);
    }
  }
  return (
    <Dialog title="Go to" open onClose={onClose}>
      <Input
        role="combobox"
        aria-label="Go to"
        aria-expanded
        aria-controls={listId}
        aria-activedescendant={found.length ? `${listId}-${chosen}` : undefined}
        autoFocus
        placeholder="A screen, a project, a metric, words to find, or an id"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id={listId} role="listbox" aria-label="Commands" className={css.commands}>
        {found.map((command, index) => (
          <li
            key={`${command.group} ${command.name}`}
            id={`${listId}-${index}`}
            role="option"
            aria-selected={index === chosen}
            className={cx(ui.choice, css.command)}
            onMouseMove={() => setActive(index)}
            onClick={() => run(index)}
          >
            <span className={css.commandName}>{command.name}</span>
            <small>{command.key ? <Keys keys={command.key} /> : command.group}</small>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

function Keys({ keys }: { keys: string }): ReactNode {
  return (
    <>
      <Kbd>g</Kbd> <Kbd>{keys}</Kbd>
    </>
  );
}
