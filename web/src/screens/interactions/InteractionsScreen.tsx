import { Page } from "~/ui";

export function InteractionsScreen() {
  return <Page title="InteractionsScreen">…</Page>;
}
