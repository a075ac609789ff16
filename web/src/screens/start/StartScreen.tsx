import { Page } from "~/ui";

export function StartScreen() {
  return <Page title="StartScreen">…</Page>;
}
