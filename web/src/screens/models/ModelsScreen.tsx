import { Page } from "~/ui";

export function ModelsScreen() {
  return <Page title="ModelsScreen">…</Page>;
}
