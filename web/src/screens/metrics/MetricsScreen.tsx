import { Page } from "~/ui";

export function MetricsScreen() {
  return <Page title="MetricsScreen">…</Page>;
}
