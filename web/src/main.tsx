import { CSPProvider } from "@base-ui/react/csp-provider";
import { Tooltip } from "@base-ui/react/tooltip";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "~/api/client";
import { isAway, onConnection } from "~/api/connection";
import { sessionQuery } from "~/api/session";
import { makeRouter } from "~/router";
import { showUnhandled } from "~/shell/Faults";
import { showTheme } from "~/shell/theme";
import { watchLastInput } from "~/ui/lastInput";
import "~/ui/tokens.css";
import { Toasts } from "~/ui/toasts";

showTheme();

showUnhandled();

watchLastInput();

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError(error) {
      // The key was revoked, or the session is over.
      if (error instanceof ApiError && error.status === 401) void queries.invalidateQueries(sessionQuery);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      // The network state of the machine does not matter for a server on the same machine.
      networkMode: "always",
      retry: (failures, error) => failures < 2 && error instanceof ApiError && isAway(error.status),
    },
    mutations: { networkMode: "always" },
  },
});

// Queries that failed while the server was away are repeated once it is back. Until then old data stays on the page.
onConnection((isConnected) => {
  if (isConnected) void queries.refetchQueries({ type: "active", predicate: ({ state }) => state.error !== null });
});

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queries}>
        <Tooltip.Provider delay={500}>
          <RouterProvider router={makeRouter(queries)} />
          <Toasts />
        </Tooltip.Provider>
      </QueryClientProvider>
    </CSPProvider>
  </StrictMode>,
);
