import { Page } from "~/ui";

export function ABTestsScreen() {
  return <Page title="ABTestsScreen">…</Page>;
}
