import { useIsMutating } from "@tanstack/react-query";
import { CloudOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useConnected } from "~/api/connection";
import { useUnconfirmed } from "~/api/sending";
import css from "./shell.module.css";

/** Milliseconds before the bar is shown: most calls and most outages are shorter. */
const PATIENCE = 1_000;

/** Show that the server is away, and how much is still to be sent. Leaving the page before that asks first. */
export function ConnectionBar() {
  const isConnected = useConnected();
  const unconfirmed = useUnconfirmed();
  const isSaving = useIsMutating() > 0 || unconfirmed > 0;
  const isAway = useLasting(!isConnected);
  const isSlow = useLasting(isSaving);

  useEffect(() => {
    if (!isSaving) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isSaving]);

  const waiting = unconfirmed === 1 ? "1 change is" : `${unconfirmed} changes are`;
  return (
    <div role="status" aria-label="Connection" className={css.connection} data-away={isAway}>
      {isAway && (
        <p>
          <CloudOff size={14} aria-hidden /> The server cannot be reached. Trying again…
          {unconfirmed > 0 && <span> {waiting} kept here until then.</span>}
        </p>
      )}
      {!isAway && isSlow && <p>Saving…</p>}
    </div>
  );
}

/** Tell whether a condition has been true for a while. */
function useLasting(now: boolean): boolean {
  const [lasting, setLasting] = useState(false);
  useEffect(() => {
    if (!now) return setLasting(false);
    const timer = setTimeout(() => setLasting(true), PATIENCE);
    return () => clearTimeout(timer);
  }, [now]);
  return now && lasting;
}
