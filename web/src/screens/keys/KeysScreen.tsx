import { Page } from "~/ui";

export function KeysScreen() {
  return <Page title="KeysScreen">…</Page>;
}
