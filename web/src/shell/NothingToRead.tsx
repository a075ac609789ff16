import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { sessionQuery, signOut } from "~/api/session";
import { Button } from "~/ui";
import css from "./shell.module.css";

const ABILITIES: Record<string, string> = {
  call: "call models",
  write: "log interactions and give feedback",
  edit: "register and change",
  share: "share projects",
  administer: "administer",
};

/** Shown to a key that may not read: the page has nothing to show. */
export function NothingToRead() {
  const { data: session } = useQuery(sessionQuery);
  const queries = useQueryClient();
  const router = useRouter();
  if (!session) return null;
  const abilities = session.permissions.map((permission) => ABILITIES[permission]).filter(Boolean);

  async function leave() {
    await signOut();
    queries.clear();
    await router.navigate({ to: "/sign-in" });
  }
  return (
    <main className={css.signIn}>
      <div className={css.signInForm}>
        <img src="/icon.svg" alt="" width={36} height={36} />
        <h1>This key reads nothing</h1>
        <p>
          {abilities.length > 0 ? (
            <>
              The key <b>{session.name}</b> is for programs: it may {abilities.join(", and ")}. To look at what was
              logged takes a key that may read.
            </>
          ) : session.user ? (
            <>
              The key of <b>{session.user}</b> works, but no project is shared with a team of yours. Ask an administrator
              to share one.
            </>
          ) : (
            <>
              The key <b>{session.name}</b> works, but it may do nothing yet. Ask an administrator for one that may read.
            </>
          )}
        </p>
        <Button look="primary" onClick={leave}>
          Sign out, and use another key
        </Button>
      </div>
    </main>
  );
}
