import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { Bookmark, Trash2 } from "lucide-react";
import type { FormEvent } from "react";
import { answer, api } from "~/api/client";
import { useAct } from "~/api/useAct";
import { useMay } from "~/shell/useMay";
import { Button, css as ui, Field, IconButton, Input, Popover } from "~/ui";
import { removeLater, useHidden } from "~/ui/removals";
import { useDraft } from "~/ui/useDraft";

/** The saved views of the project: open one, save the current one, delete one. */
export function Views({ project }: { project: string }) {
  return (
    <Popover
      label="Saved views"
      align="end"
      trigger={
        <Button small>
          <Bookmark size={14} aria-hidden />
          Views
        </Button>
      }
    >
      {(close) => <SavedViews project={project} close={close} />}
    </Popover>
  );
}

function SavedViews({ project, close }: { project: string; close: () => void }) {
  const queries = useQueryClient();
  const hidden = useHidden();
  const navigate = useNavigate();
  const { searchStr } = useLocation();
  const may = useMay();
  const [draft, setName] = useDraft(`view.${project}`);
  const name = draft ?? "";
  const key = ["views", project];
  const { data: saved = [] } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/projects/{project}/views", { params: { path: { project } }, signal })),
    select: (found) => found.views,
    staleTime: 60_000,
  });
  const views = saved.filter(({ id }) => !hidden.has(id));
  const save = useAct(
    (body: { name: string; search: string }) =>
      answer(api.POST("/api/v1/projects/{project}/views", { params: { path: { project } }, body })),
    { done: "The view is saved", outdated: [key], onDone: () => setName(null) },
  );
  const remove = (view_id: string, name: string) =>
    removeLater(view_id, {
      title: `The view ${name} is deleted`,
      remove: async (keepalive) => {
        const path = { project, view_id };
        await answer(api.DELETE("/api/v1/projects/{project}/views/{view_id}", { params: { path }, keepalive }));
        await queries.invalidateQueries({ queryKey: key });
      },
    });
  const mayWrite = may("write");
  const present = new URLSearchParams(searchStr);
  present.delete("open");

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate({ name: name.trim(), search: `?${present}` });
  }
  return (
    <div style={{ display: "grid", gap: 10, minWidth: 260 }}>
      {views.length === 0 && <p className={ui.hint}>A filter that you come back to can be saved here.</p>}
      <div>
        {views.map((view) => (
          <div key={view.id} style={{ display: "flex" }}>
            <button
              type="button"
              className={ui.choice}
              title={view.search}
              onClick={() => {
                close();
                const search = Object.fromEntries(new URLSearchParams(view.search));
                void navigate({ to: "/p/$project/interactions", params: { project }, search });
              }}
            >
              {view.name}
            </button>
            {mayWrite && (
              <IconButton small label={`Delete ${view.name}`} onClick={() => remove(view.id, view.name)}>
                <Trash2 size={13} aria-hidden />
              </IconButton>
            )}
          </div>
        ))}
      </div>
      {mayWrite && (
        <form onSubmit={submit} style={{ display: "flex", gap: 6, alignItems: "end" }}>
          <Field label="Save what is shown as">
            <Input value={name} onChange={(event) => setName(event.target.value)} maxLength={200} />
          </Field>
          <Button type="submit" look="primary" disabled={!name.trim() || save.isPending}>
            Save
          </Button>
        </form>
      )}
    </div>
  );
}
