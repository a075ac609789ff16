import { useNavigate, useParams } from "@tanstack/react-router";
import css from "./interaction.module.css";
import { InteractionPanel } from "./InteractionPanel";

/** An interaction on a page of its own. */
export function InteractionScreen() {
  const { project, completionId } = useParams({ from: "/inside/p/$project/interactions/$completionId" });
  const navigate = useNavigate();
  const onClose = () => navigate({ to: "/p/$project/interactions", params: { project } });
  return (
    <main className={css.page}>
      <InteractionPanel project={project} completionId={completionId} onClose={onClose} />
    </main>
  );
}
