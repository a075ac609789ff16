import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { projectsQuery } from "~/api/queries";
import { useAct } from "~/api/useAct";
import { Button, Chip, Confirm, CopyButton, css as ui, cx, Dialog, Empty, ErrorNote, Field, Input, Loading, Page, Select } from "~/ui";
import { fieldError } from "~/ui/errorText";
import { Time } from "~/ui/values";

type ApiKey = Schemas["ApiKey"];
type Role = ApiKey["role"];

const ROLES: Record<Role, string> = {
  member: "reads, calls models, logs, rates, registers",
  viewer: "reads",
  inference: "calls models, logs and rates; reads nothing",
  ingest: "logs and rates; reads nothing",
  admin: "everything",
};

/** The API keys: to create, to revoke. */
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
                <tr key={key.id}>
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
                      <Button small look="danger" onClick={() => setRevoking(key)}>
                        Revoke
                      </Button>
                    )}
                  </td>
                </tr>
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
      <Dialog title="The key is created" open={made !== null} onClose={() => setMade(null)} isOnce>
        <p>Copy it now: it is shown this once, and kept as a hash only.</p>
        <div style={{ display: "flex", gap: 8 }}>
          <Input readOnly value={made ?? ""} aria-label="API key" onFocus={(event) => event.target.select()} />
          <CopyButton text={made ?? ""} small={false} />
        </div>
        <div className={ui.actions}>
          <Button look="primary" onClick={() => setMade(null)}>
            I have kept it
          </Button>
        </div>
      </Dialog>
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

/** What the key of a user may: what the user's teams may, whatever its role. */
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

function KeyForm({ onClose, onMade }: { onClose: () => void; onMade: (key: string) => void }) {
  const { data: projects = [] } = useQuery(projectsQuery);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("member");
  const [chosen, setChosen] = useState<string[]>([]);
  const [days, setDays] = useState("");
  const create = useAct(
    () =>
      answer(
        api.POST("/api/v1/keys", {
          body: {
            name,
            role,
            projects: chosen.length ? chosen : null,
            expires_at: days ? `now + ${days} days` : null,
          },
        }),
      ),
    { outdated: [["keys"]], onDone: (key) => onMade(key.api_key) },
  );
  const wrong = (field: string) => fieldError(create.error, field);
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(undefined);
  }
  return (
    <Dialog title="New key" open onClose={onClose}>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        <Field label="Name" hint="Whose it is, or what for. Its feedback is shown under this name." wrong={wrong("name")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} required autoFocus />
        </Field>
        <Field label="Role" hint={ROLES[role]}>
          <Select value={role} onChange={(event) => setRole(event.target.value as Role)}>
            {Object.keys(ROLES).map((one) => (
              <option key={one}>{one}</option>
            ))}
          </Select>
        </Field>
        <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
          <legend style={{ fontWeight: 500 }}>Projects</legend>
          <p className={ui.hint}>None chosen: all of them.</p>
          {projects.map(({ key, name: shown }) => (
            <label key={key} style={{ display: "inline-flex", gap: 6, marginRight: 14 }}>
              <input
                type="checkbox"
                checked={chosen.includes(key)}
                onChange={() =>
                  setChosen(chosen.includes(key) ? chosen.filter((one) => one !== key) : [...chosen, key])
                }
              />
              {shown}
            </label>
          ))}
        </fieldset>
        <Field label="Ends" wrong={wrong("expires_at")}>
          <Select value={days} onChange={(event) => setDays(event.target.value)}>
            <option value="">never</option>
            <option value="30">in 30 days</option>
            <option value="90">in 90 days</option>
            <option value="365">in a year</option>
          </Select>
        </Field>
        <div className={ui.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={create.isPending}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
