import { useQuery } from "@tanstack/react-query";
import type { Change } from "diff";
import type { Interaction } from "~/api/client";
import { rawText } from "~/rules/parts";
import { turns } from "~/rules/toolCalls";
import { Conversation, MessageView, Text } from "~/screens/interaction/Conversation";
import { Chip } from "~/ui";
import { measured } from "~/ui/values";
import css from "./compare.module.css";

/** Longer texts are not compared word by word. In characters. */
const MOST_COMPARED = 40_000;

type SidesProps = {
  left: Interaction;
  right: Interaction;
  /** Whether models, labels and ids are hidden. */
  blind: boolean;
  differences: boolean;
};

/** Two completions side by side, with the prompt above them if it is the same. */
export function Sides({ left, right, blind, differences }: SidesProps) {
  const samePrompt = left.prompt_hash === right.prompt_hash;
  const changes = useChanges(left, right, differences);
  return (
    <div className={css.sides}>
      {samePrompt && (
        <div className={css.prompt}>
          {turns(left.messages ?? []).map(({ message, results }, index) => (
            <MessageView key={`${index}`} message={message} results={results} />
          ))}
        </div>
      )}
      {([left, right] as const).map((one, index) => {
        const name = index === 0 ? "Left" : "Right";
        return (
          <section key={one.completion_id} className={css.side} aria-label={name}>
            <header>
              <h2>{blind ? name : (one.model ?? "no model")}</h2>
              {!blind && one.feedback.map((said) => <Chip key={said.feedback_id}>{`${said.metric} ${measured(said.value)}`}</Chip>)}
            </header>
            {changes ? (
              <Marked changes={changes} isLeft={index === 0} />
            ) : samePrompt ? (
              <Answer interaction={one} />
            ) : (
              <Conversation messages={one.messages ?? []} completion={one.message ?? one.completion} look="rendered" />
            )}
          </section>
        );
      })}
    </div>
  );
}

function Answer({ interaction }: { interaction: Interaction }) {
  if (interaction.message) return <MessageView message={interaction.message} isCompletion />;
  return <Text text={interaction.completion} look="rendered" />;
}

/** A text in which the words that only this side has are marked. */
function Marked({ changes, isLeft }: { changes: Change[]; isLeft: boolean }) {
  return (
    <p className={css.marked} dir="auto">
      {changes.map((change, index) => {
        if (isLeft ? change.added : change.removed) return null;
        if (!change.added && !change.removed) return change.value;
        const Mark = isLeft ? "del" : "ins";
        return <Mark key={`${index}`}>{change.value}</Mark>;
      })}
    </p>
  );
}

function useChanges(left: Interaction, right: Interaction, wanted: boolean): Change[] | undefined {
  const { data } = useQuery({
    queryKey: ["differences", left.completion_id, right.completion_id],
    enabled: wanted,
    queryFn: async () => {
      const { diffLines, diffWordsWithSpace } = await import("diff");
      const [one, other] = [said(left), said(right)];
      if (one.length + other.length > MOST_COMPARED) return diffLines(one, other);
      return diffWordsWithSpace(one, other);
    },
  });
  return wanted ? data : undefined;
}

function said(interaction: Interaction): string {
  return interaction.message ? rawText(interaction.message) : interaction.completion;
}
