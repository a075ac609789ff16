import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { projectsQuery } from "~/api/queries";
import { sessionQuery } from "~/api/session";

export type ProjectPermission = "read" | "call" | "write" | "edit" | "share" | "administer";
export type Permission = ProjectPermission | "administer_server";

/** Return a function that tells whether the signed-in user has a permission: in a project (by default that of the
 * address), or, on screens of no project, in any project. Permissions differ between projects. */
export function useMay(project?: string): (permission: Permission) => boolean {
  const { data: session } = useQuery(sessionQuery);
  const { data: projects } = useQuery(projectsQuery);
  const ofAddress = useParams({ strict: false }).project;
  const key = project ?? ofAddress;
  return (permission) => {
    if (!session?.permissions.includes(permission)) return false;
    if (key === undefined || permission === "administer_server") return true;
    const found = projects?.find((one) => one.key === key);
    // An archived project is not in the list, and nothing may be changed in it.
    return found?.permissions.includes(permission) ?? false;
  };
}
