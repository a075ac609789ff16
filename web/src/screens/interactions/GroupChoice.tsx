import { Group as GroupIcon } from "lucide-react";
import { GROUPINGS } from "~/api/generated/fields";
import { LabelKeyChoice } from "~/filter/LabelKeyChoice";
import { Button, Popover } from "~/ui";

type GroupChoiceProps = { project: string; value: string | undefined; onChange: (group: string | undefined) => void };

/** Choose what to group by. */
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
        <LabelKeyChoice
          project={project}
          value={value}
          plain={[[undefined, "Not grouped"], ...GROUPINGS.map(({ name, title }): [string, string] => [name, title])]}
          onChange={(next) => {
            onChange(next);
            close();
          }}
        />
      )}
    </Popover>
  );
}
