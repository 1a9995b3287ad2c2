/** What the caller's key may do, as GetCaller answers it: pages and buttons that it may not use are not shown. */

/** The role that each method which the console calls requires; ROLE_ADMIN comes with all others. */
const ROLES = {
  Identify: "IDENTIFY", Verify: "VERIFY", Compare: "VERIFY", Enroll: "ENROLL",
  ListPersons: "MANAGE", GetPerson: "MANAGE", ListFaces: "MANAGE", GetFace: "MANAGE", UpdatePerson: "MANAGE",
  RenamePerson: "MANAGE", MergePersons: "MANAGE", MoveFaces: "MANAGE", DeletePerson: "MANAGE", DeleteFace: "MANAGE",
  GetErasure: "MANAGE", ListDuplicates: "MANAGE", ListInconsistentFaces: "MANAGE", DismissDuplicate: "MANAGE",
  Calibrate: "MANAGE", ApplyCalibration: "MANAGE", UpdateCollection: "MANAGE", GetCollection: "MANAGE",
  ListCollections: "MANAGE", MeasureRecall: "MANAGE", GetStatus: "ADMIN", ListAuditEvents: "ADMIN",
};

/** The methods that require the right `scores` too: their answers are distances, or follow from them. */
const WITH_SCORES = new Set(["Calibrate", "ApplyCalibration", "MeasureRecall", "ListDuplicates", "ListInconsistentFaces"]);

/** The permissions of a caller. */
export class Access {
  /** @param {Object} caller The contract's Caller, in JSON; without fields for one who is not known yet. */
  constructor(caller) {
    this.isKnown = "keysRequired" in caller;
    this.keysRequired = Boolean(caller.keysRequired);
    this.name = caller.name ?? "";
    this.roles = caller.roles ?? [];
    this.collectionIds = caller.collectionIds ?? [];
    /** Whether distances are answered. */
    this.scores = !this.keysRequired || Boolean(caller.scores);
  }

  /** Whether the caller may call a method. */
  may(method) {
    const has = !this.keysRequired || this.roles.includes(`ROLE_${ROLES[method]}`);
    return this.isKnown && has && (this.scores || !WITH_SCORES.has(method));
  }

  /** The caller's roles in words. */
  get roleNames() {
    return this.roles.map((role) => role.replace("ROLE_", "").toLowerCase()).join(", ");
  }

  /** The roles of which one is required to call at least one of several methods, in words. */
  required(methods) {
    const roles = methods.map((method) => `${ROLES[method].toLowerCase()}${WITH_SCORES.has(method) ? " with scores" : ""}`);
    return [...new Set(roles)].join(" or ");
  }

  /** Whether the caller may call at least one of several methods. */
  mayAny(methods) {
    return methods.some((method) => this.may(method));
  }
}
