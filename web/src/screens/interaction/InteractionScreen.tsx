import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import { interactionQuery } from "~/api/queries";
import { notify } from "~/ui";
import { useKeys } from "~/ui/useKeys";
import css from "./interaction.module.css";
import { InteractionPanel } from "./InteractionPanel";
import { sessionTurnsQuery } from "./Related";

/** An interaction on its own page, with steps through the turns of its session. */
export function InteractionScreen() {
  const { project, completionId } = useParams({ from: "/inside/p/$project/interactions/$completionId" });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const onClose = () => navigate({ to: "/p/$project/interactions", params: { project } });

  async function step(by: 1 | -1) {
    const shown = queries.getQueryData(interactionQuery(completionId).queryKey);
    if (!shown) return;
    try {
      const { interactions } = await queries.fetchQuery(sessionTurnsQuery(project, shown.session_id));
      const at = interactions.findIndex((one) => one.completion_id === completionId);
      const next = at < 0 ? undefined : interactions[at + by];
      if (next) {
        await navigate({
          to: "/p/$project/interactions/$completionId",
          params: { project, completionId: next.completion_id },
        });
      } else notify(`This is the ${by > 0 ? "last" : "first"} turn of its session`);
    } catch (error) {
      notify(error as Error);
    }
  }

  // The address names a wrong project: go to the address with the interaction's own project.
  const { data: own } = useQuery({ ...interactionQuery(completionId), select: (found) => found.project });
  useEffect(() => {
    if (own && own !== project) {
      void navigate({
        to: "/p/$project/interactions/$completionId",
        params: { project: own, completionId },
        replace: true,
      });
    }
  }, [own, project, completionId, navigate]);

  useKeys({ j: () => step(1), k: () => step(-1), Escape: onClose });
  return (
    <main className={css.page}>
      <InteractionPanel project={project} completionId={completionId} onClose={onClose} onStep={step} isPage />
    </main>
  );
}
