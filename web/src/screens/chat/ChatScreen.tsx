import { Page } from "~/ui";

export function ChatScreen() {
  return <Page title="ChatScreen">…</Page>;
}
