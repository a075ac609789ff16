import { Page } from "~/ui";

export function InteractionScreen() {
  return <Page title="InteractionScreen">…</Page>;
}
