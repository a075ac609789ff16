import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { useMay } from "~/shell/useMay";
import { useAct } from "~/api/useAct";
import { Button, Chip, css as ui, cx, ErrorNote, Loading, notify, Page } from "~/ui";
import { offerUndo } from "~/ui/toasts";
import { Time } from "~/ui/values";
import { ProjectForm } from "./ProjectForm";

type Project = Schemas["Project"];

/** All projects, including archived ones: create, change and archive them. */
export function ProjectsScreen() {
  const may = useMay();
  const [form, setForm] = useState<"new" | Project | null>(null);
  const { data: projects, error } = useQuery({
    queryKey: ["projects", "archived too"],
    queryFn: ({ signal }) => answer(api.GET("/api/v1/projects", { params: { query: { archived: true } }, signal })),
    select: (found) => found.projects,
  });
  const archive = useAct(
    ({ key, archived }: { key: string; archived: boolean }) =>
      answer(api.PATCH("/api/v1/projects/{project}", { params: { path: { project: key } }, body: { archived } })),
    {
      outdated: [["projects"]],
      onDone: ({ key, name, archived }) =>
        archived
          ? offerUndo(`${name} is archived`, () => archive.mutate({ key, archived: false }))
          : notify(`${name} is back`),
    },
  );
  const isAnyAdministered = projects?.some(({ permissions }) => permissions.includes("administer"));
  return (
    <Page
      title="Projects"
      about="Spaces of their own: interactions, metrics and labels of one are seen from no other."
      actions={
        may("administer_server") && (
          <Button look="primary" onClick={() => setForm("new")}>
            <Plus size={15} aria-hidden /> New project
          </Button>
        )
      }
    >
      {error && <ErrorNote error={error} />}
      {!projects && !error && <Loading />}
      {projects && (
        <div className={ui.scroll}>
          <table className={cx(ui.table, ui.cards)}>
            <thead>
              <tr>
                <th>Name</th>
                <th>Key</th>
                <th>Description</th>
                <th>Created</th>
                {isAnyAdministered && <th aria-label="Actions" />}
              </tr>
            </thead>
            <tbody>
              {projects.map((project) => (
                <tr key={project.key}>
                  <td>
                    <Link to="/p/$project/interactions" params={{ project: project.key }}>
                      {project.name}
                    </Link>{" "}
                    {project.archived && <Chip tone="warn">archived</Chip>}
                  </td>
                  <td>
                    <code>{project.key}</code>
                  </td>
                  <td>{project.description}</td>
                  <td data-name="created">
                    <Time iso={project.created_at} />
                  </td>
                  {isAnyAdministered && (
                    <td>
                      {project.permissions.includes("administer") && (
                        <div className={ui.actions}>
                          <Button small onClick={() => setForm(project)}>
                            Change
                          </Button>
                          <Button
                            small
                            onClick={() => archive.mutate({ key: project.key, archived: !project.archived })}
                          >
                            {project.archived ? "Bring back" : "Archive"}
                          </Button>
                        </div>
                      )}
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {form && <ProjectForm project={form === "new" ? null : form} onClose={() => setForm(null)} />}
    </Page>
  );
}
