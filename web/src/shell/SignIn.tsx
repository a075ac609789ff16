import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { sessionQuery, signIn } from "~/api/session";
import { Button, ErrorNote, Field, Input } from "~/ui";
import css from "./shell.module.css";

/** The form for the API key. */
export function SignIn() {
  const [key, setKey] = useState("");
  const [failure, setFailure] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const { to } = useSearch({ from: "/sign-in" });
  const queries = useQueryClient();
  const router = useRouter();

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      const session = await signIn(key.trim());
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, session);
      // Only addresses of this page, because anyone may have made the link.
      router.history.push(to?.startsWith("/") && !to.startsWith("//") && !to.startsWith("/\\") ? to : "/");
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  }

  return (
    <main className={css.signIn}>
      <form onSubmit={submit} className={css.signInForm}>
        <img src="/icon.svg" alt="" width={36} height={36} />
        <h1>Sign in to Afterword</h1>
        <Field
          label="API key"
          hint="The server printed the administrator's key at its first start, and keeps it in admin.key in its data directory."
        >
          <Input
            type="password"
            name="api_key"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            autoFocus
            required
            spellCheck={false}
          />
        </Field>
        {failure !== null && <ErrorNote error={failure} />}
        <Button look="primary" type="submit" disabled={busy || !key.trim()}>
          {busy ? "Signing in…" : "Sign in"}
        </Button>
      </form>
    </main>
  );
}
