import { Page } from "~/ui";

export function DatasetsScreen() {
  return <Page title="DatasetsScreen">…</Page>;
}
