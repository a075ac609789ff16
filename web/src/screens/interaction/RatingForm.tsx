import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ThumbsDown, ThumbsUp } from "lucide-react";
import { useState } from "react";
import { answer, api, type Metric } from "~/api/client";
import { metricsQuery } from "~/api/queries";
import { Button, css as ui, Input, Kbd, notify, Textarea } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import css from "./interaction.module.css";

type RatingFormProps = {
  project: string;
  completionId: string;
  /** Whether number keys rate. */
  hasKeys?: boolean;
};

/** Rate a completion under the registered feedback keys, with a word on why. */
export function RatingForm({ project, completionId, hasKeys = false }: RatingFormProps) {
  const queries = useQueryClient();
  const { data: metrics = [], isPending } = useQuery(metricsQuery(project));
  const [focus, setFocus] = useState(0);
  const [details, setDetails] = useState("");
  const rate = useMutation({
    mutationFn: ({ metric, value }: { metric: string; value: number | boolean }) =>
      answer(
        api.POST("/api/v1/feedback", {
          body: { completion_id: completionId, metric, value, details: details.trim() || null },
        }),
      ),
    onSuccess: (_, { metric, value }) => {
      setDetails("");
      notify(`${metric}: ${value === true ? "yes" : value === false ? "no" : value}`);
      return Promise.all([
        queries.invalidateQueries({ queryKey: ["interaction", completionId] }),
        queries.invalidateQueries({ queryKey: ["statistics"] }),
      ]);
    },
    onError: (error) => notify(error),
  });
  const focused = metrics[focus];
  const byKey = (number: number) => () => {
    if (!focused) return;
    if (focused.kind === "bool") {
      if (number < 2) rate.mutate({ metric: focused.key, value: number === 1 });
    } else {
      rate.mutate({ metric: focused.key, value: number });
    }
  };
  useKeys(
    hasKeys
      ? {
          ...Object.fromEntries(Array.from({ length: 10 }, (_, number) => [String(number), byKey(number)])),
          m: () => setFocus((focus + 1) % Math.max(1, metrics.length)),
        }
      : {},
  );
  if (isPending) return null;
  if (!metrics.length) {
    return <p className={ui.hint}>Register a feedback key on the Metrics page to rate this.</p>;
  }
  return (
    <section className={css.rating} aria-label="Rate">
      {metrics.map((metric, index) => (
        <MetricRow
          key={metric.key}
          metric={metric}
          isFocused={hasKeys && index === focus}
          busy={rate.isPending}
          onFocus={() => setFocus(index)}
          onRate={(value) => rate.mutate({ metric: metric.key, value })}
        />
      ))}
      <Textarea
        aria-label="Details"
        placeholder="Why? Goes along with the next rating."
        rows={1}
        className={css.details}
        value={details}
        onChange={(event) => setDetails(event.target.value)}
      />
      {hasKeys && (
        <p className={ui.hint}>
          <Kbd>1</Kbd>–<Kbd>9</Kbd> rate, <Kbd>m</Kbd> next key, <Kbd>l</Kbd> label, <Kbd>c</Kbd> compare
        </p>
      )}
    </section>
  );
}

type MetricRowProps = {
  metric: Metric;
  isFocused: boolean;
  busy: boolean;
  onFocus: () => void;
  onRate: (value: number | boolean) => void;
};

function MetricRow({ metric, isFocused, busy, onFocus, onRate }: MetricRowProps) {
  const [typed, setTyped] = useState("");
  return (
    <div
      className={css.metric}
      data-focused={isFocused}
      role="group"
      aria-label={metric.name}
      title={metric.description || undefined}
      onFocus={onFocus}
    >
      <span>{metric.name}</span>
      {metric.kind === "bool" ? (
        <>
          <Button small disabled={busy} onClick={() => onRate(true)} aria-label={`${metric.name}: yes`}>
            <ThumbsUp size={14} aria-hidden />
          </Button>
          <Button small disabled={busy} onClick={() => onRate(false)} aria-label={`${metric.name}: no`}>
            <ThumbsDown size={14} aria-hidden />
          </Button>
        </>
      ) : (
        <>
          {[1, 2, 3, 4, 5].map((value) => (
            <Button
              key={value}
              small
              disabled={busy}
              onClick={() => onRate(value)}
              aria-label={`${metric.name}: ${value}`}
            >
              {value}
            </Button>
          ))}
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (typed !== "" && Number.isFinite(Number(typed))) onRate(Number(typed));
              setTyped("");
            }}
          >
            <Input
              type="number"
              step="any"
              aria-label={`${metric.name}: another value`}
              placeholder={metric.unit || "value"}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          </form>
        </>
      )}
    </div>
  );
}
