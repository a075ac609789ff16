import { Link } from "@tanstack/react-router";
import { Empty, ErrorNote, Page } from "~/ui";

export function NotFound() {
  return (
    <Page title="Nothing is here">
      <Empty title="There is no page at this address">
        <Link to="/">Go to the interactions</Link>
      </Empty>
    </Page>
  );
}

export function Failed({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <Page title="This page cannot be shown">
      <ErrorNote error={error} onRetry={reset} />
    </Page>
  );
}
