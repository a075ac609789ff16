import { Clock } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button, css as ui, Field, Input, Popover } from "~/ui";
import css from "./filter.module.css";
import { momentOf, PRESETS, rangeName, splitTime, type TimeRange, withTime } from "~/rules/timeRange";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

type TimeRangeProps = { value: string; onChange: (query: string) => void };

/** Shows the time range of a query, and lets the viewer choose another one. */
export function TimeRangeChoice({ value, onChange }: TimeRangeProps) {
  const { range } = splitTime(value);
  const name = rangeName(range);
  return (
    <Popover
      label="Time range"
      align="end"
      trigger={
        <Button aria-label={`Time range: ${name}`}>
          <Clock size={14} aria-hidden />
          <span className={css.cut}>{name}</span>
        </Button>
      }
    >
      {(close) => (
        <Ranges
          range={range}
          onChoose={(next) => {
            onChange(withTime(value, next));
            close();
          }}
        />
      )}
    </Popover>
  );
}

function Ranges({ range, onChoose }: { range: TimeRange; onChoose: (range: TimeRange) => void }) {
  const [from, setFrom] = useState(local(range.from));
  const [to, setTo] = useState(local(range.to));
  const exact = (time: string) => (time ? new Date(time).toISOString() : undefined);
  const isBackwards = from !== "" && to !== "" && from >= to;
  const isPreset = (span: string | undefined) => range.from === span && range.to === undefined;
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!isBackwards) onChoose({ from: exact(from), to: exact(to) });
  }
  return (
    <div className={css.add}>
      <div className={css.presets}>
        <Button small aria-pressed={isPreset(undefined)} onClick={() => onChoose({})}>
          Any time
        </Button>
        {PRESETS.map(([span, name]) => (
          <Button key={span} small aria-pressed={isPreset(span)} onClick={() => onChoose({ from: span })}>
            {name}
          </Button>
        ))}
      </div>
      <form className={css.adding} onSubmit={submit}>
        <Field label="From (inclusive)">
          <Input type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />
        </Field>
        <Field label="To (exclusive)" wrong={isBackwards ? "The end must be later than the beginning." : undefined}>
          <Input type="datetime-local" value={to} onChange={(event) => setTo(event.target.value)} />
        </Field>
        <p className={ui.hint}>Times are of your time zone, {ZONE}.</p>
        <Button look="primary" type="submit" disabled={isBackwards || (!from && !to)}>
          Apply
        </Button>
      </form>
    </div>
  );
}

/** Return a time for a datetime input: in the zone in which times are shown. */
function local(text: string | undefined): string {
  const moment = text === undefined ? null : momentOf(text, Date.now());
  if (moment === null) return "";
  const zoned = new Date(moment - new Date(moment).getTimezoneOffset() * 60_000);
  return zoned.toISOString().slice(0, 16);
}
