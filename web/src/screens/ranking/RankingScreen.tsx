import { Page } from "~/ui";

export function RankingScreen() {
  return <Page title="RankingScreen">…</Page>;
}
