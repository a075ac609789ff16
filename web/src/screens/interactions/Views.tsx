import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { Bookmark, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { answer, api } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { Button, css as ui, Field, IconButton, Input, notify, Popover } from "~/ui";

/** Saved views of the project: to open, to save the present one, to delete. */
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
  const navigate = useNavigate();
  const { searchStr } = useLocation();
  const may = useMay();
  const [name, setName] = useState("");
  const key = ["views", project];
  const { data: views = [] } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/projects/{project}/views", { params: { path: { project } }, signal })),
    select: (found) => found.views,
    staleTime: 60_000,
  });
  const again = () => queries.invalidateQueries({ queryKey: key });
  const save = useMutation({
    mutationFn: (body: { name: string; search: string }) =>
      answer(api.POST("/api/v1/projects/{project}/views", { params: { path: { project } }, body })),
    onSuccess: () => {
      notify("The view is saved");
      setName("");
      return again();
    },
    onError: (error) => notify(error),
  });
  const remove = useMutation({
    mutationFn: (view_id: string) =>
      answer(api.DELETE("/api/v1/projects/{project}/views/{view_id}", { params: { path: { project, view_id } } })),
    onSuccess: again,
    onError: (error) => notify(error),
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
              <IconButton small label={`Delete ${view.name}`} onClick={() => remove.mutate(view.id)}>
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
