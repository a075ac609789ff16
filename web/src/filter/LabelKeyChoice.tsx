import { css as ui } from "~/ui";
import { Chooser } from "~/ui/Chooser";
import { useVocabulary } from "./facets";

type LabelKeyChoiceProps = {
  project: string;
  value: string | undefined;
  /** The choices beside the label keys, each with its name. */
  plain: readonly (readonly [string | undefined, string])[];
  onChange: (value: string | undefined) => void;
};

/** Choose a member, or `label:` with a key, to split interactions by. The keys are fetched when this is rendered. */
export function LabelKeyChoice({ project, value, plain, onChange }: LabelKeyChoiceProps) {
  const { labels } = useVocabulary(project);
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
