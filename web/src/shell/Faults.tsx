import { Link, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { ApiError } from "~/api/client";
import { isAway, useConnected } from "~/api/connection";
import { Empty, ErrorNote, notify, Page } from "~/ui";

export function NotFound() {
  return (
    <Page title="Nothing is here">
      <Empty title="There is no page at this address">
        <Link to="/">Go to the interactions</Link>
      </Empty>
    </Page>
  );
}

/** Replaces a screen that failed. If the server was away, the screen comes back automatically. */
export function Failed({ error, reset }: { error: unknown; reset: () => void }) {
  const router = useRouter();
  const isConnected = useConnected();
  const isServerAway = error instanceof ApiError && isAway(error.status);
  function again() {
    reset();
    void router.invalidate();
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: the screen comes back once for each return of the server.
  useEffect(() => {
    if (isServerAway && isConnected) again();
  }, [isServerAway, isConnected]);
  return (
    <Page title="This page cannot be shown">
      <ErrorNote error={error} onRetry={again} />
    </Page>
  );
}

/** Show errors that nothing else has handled, so that people know that their action failed. */
export function showUnhandled(): void {
  addEventListener("error", (event) => {
    // A ResizeObserver's notice about the next frame has no error object.
    if (event.error) show(event.error);
  });
  addEventListener("unhandledrejection", (event) => show(event.reason));
}

function show(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof ApiError) {
    notify(error);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  notify(new Error(`Something went wrong on this page: ${message}`));
}
