import { useState } from "react";
import type { Metric } from "~/api/client";
import { css as ui, Input, Optional } from "~/ui";
import formCss from "~/ui/form.module.css";
import css from "./datasets.module.css";

/** With more keys, a search by name is shown. */
const MOST_SEEN = 12;

type KeyChoiceProps = { metrics: readonly Metric[]; chosen: readonly string[]; onChoose: (key: string) => void };

/** Choose feedback keys. The list scrolls, so many keys take no more room. */
export function KeyChoice({ metrics, chosen, onChoose }: KeyChoiceProps) {
  const [sought, setSought] = useState("");
  const wanted = sought.trim().toLowerCase();
  const shown = metrics.filter(({ key, name }) => `${key} ${name}`.toLowerCase().includes(wanted));
  if (!metrics.length) return null;
  return (
    <fieldset className={css.keys}>
      <legend>
        Feedback keys
        <Optional />
      </legend>
      <div className={css.look}>
        <span className={ui.hint} role="status">
          {chosen.length ? `${chosen.length} of ${metrics.length} chosen` : `All ${metrics.length} count, unless some are chosen.`}
        </span>
        {metrics.length > MOST_SEEN && (
          <Input
            type="search"
            aria-label="Find a feedback key"
            placeholder="Find a key"
            value={sought}
            onChange={(event) => setSought(event.target.value)}
          />
        )}
      </div>
      <div className={css.list}>
        {shown.map(({ key, name }) => (
          <label key={key} className={formCss.check} title={key}>
            <input type="checkbox" checked={chosen.includes(key)} onChange={() => onChoose(key)} />
            <span>{name}</span>
          </label>
        ))}
        {shown.length === 0 && <span className={ui.hint}>No key has this in its name.</span>}
      </div>
    </fieldset>
  );
}
