import { Page } from "~/ui";

export function CompareScreen() {
  return <Page title="CompareScreen">…</Page>;
}
