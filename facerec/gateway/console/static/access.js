/** What the caller's key may do, as GetCaller answers it: pages and buttons that it may not use are not shown. */

/** Roles by the methods that the console calls; `admin` includes all others. */
const ROLES = {
  Identify: "identify", Verify: "verify", Compare: "verify", Enroll: "enroll",
  ListPersons: "manage", GetPerson: "manage", ListFaces: "manage", UpdatePerson: "manage", RenamePerson: "manage",
  MergePersons: "manage", MoveFaces: "manage", DeletePerson: "manage", DeleteFace: "manage", GetErasure: "manage",
  ListDuplicates: "manage", ListInconsistentFaces: "manage", DismissDuplicate: "manage", Calibrate: "manage",
  ApplyCalibration: "manage", UpdateCollection: "manage", GetCollection: "manage", ListCollections: "manage",
  MeasureRecall: "manage", GetStatus: "manage", ListAuditEvents: "admin", GetModel: "encode", DetectFaces: "encode",
};

/** The permissions of a caller. */
export class Access {
  /** @param {{roles?: string[], collections?: string[], scores?: boolean, keysRequired?: boolean}} caller */
  constructor(caller) {
    this.caller = caller;
    this.scores = !caller.keysRequired || Boolean(caller.scores);
  }

  /** Whether the caller may call a method. */
  may(method) {
    const roles = this.caller.roles ?? [];
    return !this.caller.keysRequired || roles.includes("admin") || roles.includes(ROLES[method]);
  }

  /** Whether the caller may call at least one of several methods. */
  mayAny(methods) {
    return methods.some((method) => this.may(method));
  }
}
