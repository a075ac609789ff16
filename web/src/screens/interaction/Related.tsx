import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { answer, api, type Filter, type Interaction, type Schemas } from "~/api/client";
import { cx, Loading } from "~/ui";
import { shownTime } from "~/ui/values";
import css from "./interaction.module.css";

/** The other turns of the session, and other completions of the same prompt: looked up when someone wants them. */
export function Related({ project, interaction }: { project: string; interaction: Interaction }) {
  return (
    <>
      <Others
        title="Session"
        project={project}
        interaction={interaction}
        filter={{ session_id: { eq: interaction.session_id } }}
        order="created_at"
        none="It is the only turn of its session."
      />
      <Others
        title="Other completions of this prompt"
        project={project}
        interaction={interaction}
        filter={{ prompt_hash: { eq: interaction.prompt_hash } }}
        order="-created_at"
        none="No other completion answers this prompt."
        compares
      />
    </>
  );
}

type OthersProps = {
  title: string;
  project: string;
  interaction: Interaction;
  filter: Filter;
  order: "created_at" | "-created_at";
  none: string;
  compares?: boolean;
};

function Others({ title, project, interaction, filter, order, none, compares = false }: OthersProps) {
  const [isOpen, setOpen] = useState(false);
  const { data } = useQuery({
    queryKey: ["interactions-of", project, filter, order],
    enabled: isOpen,
    queryFn: async ({ signal }) =>
      (await answer(
        api.POST("/api/v1/interactions/search", { body: { project, filter, order, limit: 100 }, signal }),
      )) as Schemas["InteractionPage"],
    select: (page) => page.interactions,
  });
  const id = interaction.completion_id;
  return (
    <details className={cx(css.fold, css.section)} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <ChevronRight size={14} aria-hidden />
        {title} {data && data.length > 1 && <small>{data.length}</small>}
      </summary>
      {isOpen && !data && <Loading lines={2} />}
      {data && data.length < 2 && <p className={css.nothing}>{none}</p>}
      {data && data.length > 1 && (
        <ul className={css.turns}>
          {data.map((one) => {
            const inside = (
              <>
                <span>{compares ? (one.model ?? "no model") : shownTime(one.created_at)}</span>
                <bdi>{compares ? one.completion : one.prompt}</bdi>
                <span>{compares && one.completion_id !== id ? "compare" : ""}</span>
              </>
            );
            const current = one.completion_id === id ? ("true" as const) : undefined;
            return (
              <li key={one.completion_id}>
                {compares && !current ? (
                  <Link to="/p/$project/compare" params={{ project }} search={{ left: id, right: one.completion_id }}>
                    {inside}
                  </Link>
                ) : (
                  <Link
                    to="/p/$project/interactions/$completionId"
                    params={{ project, completionId: one.completion_id }}
                    aria-current={current}
                  >
                    {inside}
                  </Link>
                )}
              </li>
            );
          })}
        </ul>
      )}
    </details>
  );
}
