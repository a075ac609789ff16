import { Page } from "~/ui";

export function ProjectsScreen() {
  return <Page title="ProjectsScreen">…</Page>;
}
