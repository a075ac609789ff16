import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { projectsQuery } from "~/api/queries";
import { sessionQuery } from "~/api/session";

export type ProjectPermission = "read" | "call" | "write" | "edit" | "share" | "administer";
export type Permission = ProjectPermission | "administer_server";

/** Return whether whoever is signed in may do something: in a project (that of the address, where none is named), or,
 * beside every project, in any of them. Whoever may everything in one project may be a reader in the next. */
export function useMay(project?: string): (permission: Permission) => boolean {
  const { data: session } = useQuery(sessionQuery);
  const { data: projects } = useQuery(projectsQuery);
  const ofAddress = useParams({ strict: false }).project;
  const key = project ?? ofAddress;
  return (permission) => {
    if (!session?.permissions.includes(permission)) return false;
    if (key === undefined || permission === "administer_server") return true;
    const found = projects?.find((one) => one.key === key);
    // An archived project takes nothing new, and is not in the list.
    return found?.permissions.includes(permission) ?? false;
  };
}
