import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { useAct } from "~/api/useAct";
import { Button, Chip, Confirm, CopyButton, css as ui, cx, Dialog, Empty, ErrorNote, Input, Loading, Page } from "~/ui";
import { Time } from "~/ui/values";
import { KeyForm, ROLES } from "./KeyForm";

type ApiKey = Schemas["ApiKey"];

/** The API keys: create and revoke them. */
export function KeysScreen() {
  const [form, setForm] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const { data: keys, error } = useQuery({
    queryKey: ["keys"],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/keys", { signal })),
    select: (found) => found.keys,
  });
  const revoke = useAct(
    (key_id: string) => answer(api.DELETE("/api/v1/keys/{key_id}", { params: { path: { key_id } } })),
    { done: "The key is revoked", outdated: [["keys"]] },
  );
  return (
    <Page
      title="Keys"
      about="What programs and people call with. A key itself is shown once, when it is created."
      actions={
        <Button look="primary" onClick={() => setForm(true)}>
          <Plus size={15} aria-hidden /> New key
        </Button>
      }
    >
      {error && <ErrorNote error={error} />}
      {!keys && !error && <Loading />}
      {keys?.length === 0 && (
        <Empty title="No key but the administrator's">
          <p>Give each application and each person a key of their own: it can be revoked, and names who gave feedback.</p>
        </Empty>
      )}
      {keys && keys.length > 0 && (
        <div className={ui.scroll}>
          <table className={cx(ui.table, ui.cards)}>
            <thead>
              <tr>
                <th>Name</th>
                <th>Key</th>
                <th>Role</th>
                <th>Projects</th>
                <th>Last used</th>
                <th>Created</th>
                <th>Ends</th>
                <th aria-label="Actions" />
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <KeyRow key={key.id} apiKey={key} onRevoke={() => setRevoking(key)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {form && (
        <KeyForm
          onClose={() => setForm(false)}
          onMade={(key) => {
            setForm(false);
            setMade(key);
          }}
        />
      )}
      {made !== null && <NewKeyDialog apiKey={made} onClose={() => setMade(null)} />}
      <Confirm
        title={`Revoke ${revoking?.name}?`}
        what="It stops at once and for good; whoever is signed in with it is signed out."
        act="Revoke"
        open={revoking !== null}
        onClose={() => setRevoking(null)}
        onConfirm={() => revoking && revoke.mutate(revoking.id)}
      />
    </Page>
  );
}

type KeyRowProps = { apiKey: ApiKey; onRevoke: () => void };

function KeyRow({ apiKey: key, onRevoke }: KeyRowProps) {
  return (
    <tr>
      <td>
        {key.name} {key.user && <Chip>{key.user}</Chip>}
      </td>
      <td>
        <code>{key.prefix}…</code>
      </td>
      {key.permissions ? (
        <UserRights permissions={key.permissions} />
      ) : (
        <>
          <td data-name="role" title={ROLES[key.role]}>{key.role}</td>
          <td data-name="projects">{key.projects?.join(", ") ?? "all"}</td>
        </>
      )}
      <td data-name="last used">{key.last_used_at ? <Time iso={key.last_used_at} /> : "never"}</td>
      <td data-name="created">
        <Time iso={key.created_at} />
        {key.created_by && <div className={ui.hint}>by {key.created_by}</div>}
      </td>
      <td data-name="ends">
        {key.revoked_at ? (
          <Chip tone="bad">revoked</Chip>
        ) : key.expires_at ? (
          <Time iso={key.expires_at} />
        ) : (
          "never"
        )}
      </td>
      <td>
        {!key.revoked_at && (
          <Button small look="danger" onClick={onRevoke}>
            Revoke
          </Button>
        )}
      </td>
    </tr>
  );
}

/** Show a created key, which the server sends only once. */
function NewKeyDialog({ apiKey, onClose }: { apiKey: string; onClose: () => void }) {
  return (
    <Dialog title="The key is created" open onClose={onClose} isOnce>
      <p>Copy it now: it is shown this once, and kept as a hash only.</p>
      <div style={{ display: "flex", gap: 8 }}>
        <Input readOnly value={apiKey} aria-label="API key" onFocus={(event) => event.target.select()} />
        <CopyButton text={apiKey} small={false} />
      </div>
      <div className={ui.actions}>
        <Button look="primary" onClick={onClose}>
          I have kept it
        </Button>
      </div>
    </Dialog>
  );
}

/** The permissions of a user's key: those of the user's teams, whatever its role. */
function UserRights({ permissions }: { permissions: Record<string, string[]> }) {
  const projects = Object.entries(permissions);
  return (
    <>
      <td data-name="role" title="What the teams of the user may">of teams</td>
      <td data-name="projects">
        {projects.length === 0 && "none: no project is shared with a team of this user"}
        {projects.map(([project, words]) => (
          <div key={project}>
            {project} <small>{words.join(", ")}</small>
          </div>
        ))}
      </td>
    </>
  );
}
