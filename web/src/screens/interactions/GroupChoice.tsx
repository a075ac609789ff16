import { Group as GroupIcon } from "lucide-react";
import { useVocabulary } from "~/filter/facets";
import { Button, css as ui, Popover } from "~/ui";
import { Chooser } from "~/ui/Chooser";

type GroupChoiceProps = { project: string; value: string | undefined; onChange: (group: string | undefined) => void };

const PLAIN: [string, string][] = [
  ["model", "Model"],
  ["prompt", "Prompt"],
  ["session", "Session"],
];

/** What to group by. */
export function GroupChoice({ project, value, onChange }: GroupChoiceProps) {
  return (
    <Popover
      label="Group by"
      align="end"
      trigger={
        <Button small aria-pressed={value !== undefined}>
          <GroupIcon size={14} aria-hidden />
          {value ? `By ${value.replace("label:", "")}` : "Group"}
        </Button>
      }
    >
      {(close) => (
        <Groupings
          project={project}
          value={value}
          onChange={(next) => {
            onChange(next);
            close();
          }}
        />
      )}
    </Popover>
  );
}

/** Label keys are asked for when the choice opens. */
function Groupings({ project, value, onChange }: GroupChoiceProps) {
  const { labels } = useVocabulary(project);
  const plain: [string | undefined, string][] = [[undefined, "Not grouped"], ...PLAIN];
  return (
    <Chooser
      what="label keys"
      choices={labels.map(({ key, count }) => ({ value: key, count }))}
      chosen={value?.startsWith("label:") ? value.slice(6) : undefined}
      onChoose={(key) => onChange(`label:${key}`)}
    >
      {plain.map(([key, name]) => (
        <li key={name}>
          <button
            type="button"
            className={ui.choice}
            aria-current={value === key ? "true" : undefined}
            onClick={() => onChange(key)}
          >
            {name}
          </button>
        </li>
      ))}
    </Chooser>
  );
}
