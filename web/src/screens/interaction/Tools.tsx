import { Wrench } from "lucide-react";
import type { Interaction } from "~/api/client";
import { counted } from "~/ui/values";
import css from "./conversation.module.css";
import { contains, useSought } from "./Find";
import { Fold } from "./Fold";
import { JsonTree } from "./JsonTree";
import { pretty } from "~/rules/parts";
import { toolsOf } from "~/rules/toolCalls";

/** The tools that a model could call: their names in a line; opened, the description and parameters of each. */
export function Tools({ parameters }: Pick<Interaction, "parameters">) {
  const tools = toolsOf(parameters);
  const sought = useSought();
  if (!tools.length) return null;
  return (
    <Fold
      className={css.tools}
      shows={contains(pretty(tools), sought)}
      title={
        <>
          <Wrench size={13} aria-hidden className={css.wrench} />
          <b>{counted(tools.length, "tool")}</b>
          <span className={css.line}>{tools.map(({ name }) => name).join(", ")}</span>
        </>
      }
    >
      {() => (
        <ul>
          {tools.map(({ name, description, takes }, index) => (
            <li key={index}>
              <h4>
                <code>{name}</code>
              </h4>
              {description && <p dir="auto">{description}</p>}
              {takes !== undefined && <JsonTree name={`What ${name} takes`} value={takes} />}
            </li>
          ))}
        </ul>
      )}
    </Fold>
  );
}
