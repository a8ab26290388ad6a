//! What administrators of a security server may do, and which roles may (registry and administration §5.5).
//!
//! The names are those of X-Road, so that tables can be compared.

use administration::access::{Permission as _, Role};

macro_rules! permissions {
    ($($variant:ident $name:literal [$($role:ident)*];)*) => {
        /// What an operation needs.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "the names of X-Road's table")]
        pub enum Permission {
            $($variant,)*
        }

        impl Permission {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        impl administration::access::Permission for Permission {
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$variant => &[$(Role::$role,)*],)*
                }
            }
        }
    };
}

permissions! {
    InitConfig "INIT_CONFIG" [SystemAdministrator];
    ViewClients "VIEW_CLIENTS" [SecurityOfficer RegistrationOfficer ServiceAdministrator Observer];
    AddClient "ADD_CLIENT" [RegistrationOfficer];
    SendClientRegReq "SEND_CLIENT_REG_REQ" [RegistrationOfficer];
    SendOwnerChangeReq "SEND_OWNER_CHANGE_REQ" [RegistrationOfficer];
    ViewClientDetails "VIEW_CLIENT_DETAILS" [RegistrationOfficer ServiceAdministrator Observer];
    SendClientDelReq "SEND_CLIENT_DEL_REQ" [RegistrationOfficer];
    DeleteClient "DELETE_CLIENT" [RegistrationOfficer];
    DisableClient "DISABLE_CLIENT" [RegistrationOfficer];
    EnableClient "ENABLE_CLIENT" [RegistrationOfficer];
    RenameSubsystem "RENAME_SUBSYSTEM" [RegistrationOfficer];
    ViewClientLocalGroups "VIEW_CLIENT_LOCAL_GROUPS" [ServiceAdministrator Observer];
    AddLocalGroup "ADD_LOCAL_GROUP" [ServiceAdministrator];
    EditLocalGroupDesc "EDIT_LOCAL_GROUP_DESC" [ServiceAdministrator];
    EditLocalGroupMembers "EDIT_LOCAL_GROUP_MEMBERS" [ServiceAdministrator];
    DeleteLocalGroup "DELETE_LOCAL_GROUP" [ServiceAdministrator];
    ViewClientServices "VIEW_CLIENT_SERVICES" [ServiceAdministrator Observer];
    AddWsdl "ADD_WSDL" [ServiceAdministrator];
    AddOpenapi3 "ADD_OPENAPI3" [ServiceAdministrator];
    AddOpenapi3Endpoint "ADD_OPENAPI3_ENDPOINT" [ServiceAdministrator];
    EnableDisableWsdl "ENABLE_DISABLE_WSDL" [ServiceAdministrator];
    EditWsdl "EDIT_WSDL" [ServiceAdministrator];
    EditOpenapi3 "EDIT_OPENAPI3" [ServiceAdministrator];
    EditRest "EDIT_REST" [ServiceAdministrator];
    EditOpenapi3Endpoint "EDIT_OPENAPI3_ENDPOINT" [ServiceAdministrator];
    RefreshWsdl "REFRESH_WSDL" [ServiceAdministrator];
    RefreshOpenapi3 "REFRESH_OPENAPI3" [ServiceAdministrator];
    RefreshRest "REFRESH_REST" [ServiceAdministrator];
    DeleteWsdl "DELETE_WSDL" [ServiceAdministrator];
    DeleteEndpoint "DELETE_ENDPOINT" [ServiceAdministrator];
    EditServiceParams "EDIT_SERVICE_PARAMS" [ServiceAdministrator];
    ViewEndpoint "VIEW_ENDPOINT" [ServiceAdministrator Observer];
    ViewServiceAcl "VIEW_SERVICE_ACL" [ServiceAdministrator Observer];
    EditServiceAcl "EDIT_SERVICE_ACL" [ServiceAdministrator];
    ViewEndpointAcl "VIEW_ENDPOINT_ACL" [ServiceAdministrator Observer];
    EditEndpointAcl "EDIT_ENDPOINT_ACL" [ServiceAdministrator];
    ViewClientAclSubjects "VIEW_CLIENT_ACL_SUBJECTS" [ServiceAdministrator Observer];
    ViewAclSubjectOpenServices "VIEW_ACL_SUBJECT_OPEN_SERVICES" [ServiceAdministrator Observer];
    EditAclSubjectOpenServices "EDIT_ACL_SUBJECT_OPEN_SERVICES" [ServiceAdministrator];
    ViewClientInternalCerts "VIEW_CLIENT_INTERNAL_CERTS" [ServiceAdministrator RegistrationOfficer Observer];
    ViewClientInternalCertDetails "VIEW_CLIENT_INTERNAL_CERT_DETAILS" [ServiceAdministrator RegistrationOfficer Observer];
    AddClientInternalCert "ADD_CLIENT_INTERNAL_CERT" [ServiceAdministrator RegistrationOfficer];
    DeleteClientInternalCert "DELETE_CLIENT_INTERNAL_CERT" [ServiceAdministrator RegistrationOfficer];
    ViewClientInternalConnectionType "VIEW_CLIENT_INTERNAL_CONNECTION_TYPE" [ServiceAdministrator RegistrationOfficer Observer];
    EditClientInternalConnectionType "EDIT_CLIENT_INTERNAL_CONNECTION_TYPE" [ServiceAdministrator RegistrationOfficer];
    ViewKeys "VIEW_KEYS" [SecurityOfficer RegistrationOfficer SystemAdministrator Observer];
    ActivateDeactivateToken "ACTIVATE_DEACTIVATE_TOKEN" [SecurityOfficer SystemAdministrator];
    UpdateTokenPin "UPDATE_TOKEN_PIN" [SystemAdministrator];
    ViewAuthCert "VIEW_AUTH_CERT" [SecurityOfficer RegistrationOfficer SystemAdministrator Observer];
    ViewSignCert "VIEW_SIGN_CERT" [SecurityOfficer RegistrationOfficer SystemAdministrator Observer ServiceAdministrator];
    ViewUnknownCert "VIEW_UNKNOWN_CERT" [SecurityOfficer RegistrationOfficer SystemAdministrator Observer ServiceAdministrator];
    GenerateKey "GENERATE_KEY" [SecurityOfficer RegistrationOfficer];
    DeleteKey "DELETE_KEY" [SecurityOfficer RegistrationOfficer];
    GenerateAuthCertReq "GENERATE_AUTH_CERT_REQ" [SecurityOfficer];
    GenerateSignCertReq "GENERATE_SIGN_CERT_REQ" [SecurityOfficer RegistrationOfficer];
    ImportAuthCert "IMPORT_AUTH_CERT" [SecurityOfficer];
    ImportSignCert "IMPORT_SIGN_CERT" [SecurityOfficer RegistrationOfficer];
    ImportUnknownCert "IMPORT_UNKNOWN_CERT" [SecurityOfficer];
    ActivateDisableAuthCert "ACTIVATE_DISABLE_AUTH_CERT" [SecurityOfficer];
    ActivateDisableSignCert "ACTIVATE_DISABLE_SIGN_CERT" [SecurityOfficer RegistrationOfficer];
    SendAuthCertRegReq "SEND_AUTH_CERT_REG_REQ" [SecurityOfficer];
    SendAuthCertDelReq "SEND_AUTH_CERT_DEL_REQ" [SecurityOfficer];
    DeleteAuthCert "DELETE_AUTH_CERT" [SecurityOfficer];
    DeleteSignCert "DELETE_SIGN_CERT" [SecurityOfficer RegistrationOfficer];
    DeleteUnknownCert "DELETE_UNKNOWN_CERT" [SecurityOfficer RegistrationOfficer];
    DeleteAuthKey "DELETE_AUTH_KEY" [SecurityOfficer];
    DeleteSignKey "DELETE_SIGN_KEY" [SecurityOfficer RegistrationOfficer];
    EditKeyFriendlyName "EDIT_KEY_FRIENDLY_NAME" [SecurityOfficer RegistrationOfficer SystemAdministrator];
    EditTokenFriendlyName "EDIT_TOKEN_FRIENDLY_NAME" [SecurityOfficer RegistrationOfficer SystemAdministrator];
    DeleteToken "DELETE_TOKEN" [SystemAdministrator];
    CreateApiKey "CREATE_API_KEY" [SystemAdministrator];
    ViewApiKeys "VIEW_API_KEYS" [SystemAdministrator Observer];
    UpdateApiKey "UPDATE_API_KEY" [SystemAdministrator];
    RevokeApiKey "REVOKE_API_KEY" [SystemAdministrator];
    ViewSysParams "VIEW_SYS_PARAMS" [SecurityOfficer SystemAdministrator Observer];
    ViewAnchor "VIEW_ANCHOR" [SecurityOfficer SystemAdministrator Observer];
    DownloadAnchor "DOWNLOAD_ANCHOR" [SecurityOfficer SystemAdministrator];
    UploadAnchor "UPLOAD_ANCHOR" [SecurityOfficer SystemAdministrator];
    ViewTsps "VIEW_TSPS" [SecurityOfficer SystemAdministrator Observer];
    AddTsp "ADD_TSP" [SecurityOfficer];
    DeleteTsp "DELETE_TSP" [SecurityOfficer];
    ViewInternalTlsCert "VIEW_INTERNAL_TLS_CERT" [ServiceAdministrator RegistrationOfficer SecurityOfficer SystemAdministrator Observer];
    ExportInternalTlsCert "EXPORT_INTERNAL_TLS_CERT" [SecurityOfficer SystemAdministrator ServiceAdministrator RegistrationOfficer];
    ImportInternalTlsCert "IMPORT_INTERNAL_TLS_CERT" [SecurityOfficer SystemAdministrator];
    GenerateInternalTlsKeyCert "GENERATE_INTERNAL_TLS_KEY_CERT" [SecurityOfficer SystemAdministrator];
    GenerateInternalTlsCsr "GENERATE_INTERNAL_TLS_CSR" [SecurityOfficer SystemAdministrator];
    ViewApprovedCertificateAuthorities "VIEW_APPROVED_CERTIFICATE_AUTHORITIES" [RegistrationOfficer SecurityOfficer Observer SystemAdministrator];
    ViewMemberClasses "VIEW_MEMBER_CLASSES" [SecurityOfficer SystemAdministrator RegistrationOfficer ServiceAdministrator Observer];
    ViewXroadInstances "VIEW_XROAD_INSTANCES" [SecurityOfficer SystemAdministrator RegistrationOfficer ServiceAdministrator Observer];
    ViewSecurityServers "VIEW_SECURITY_SERVERS" [SecurityOfficer SystemAdministrator RegistrationOfficer ServiceAdministrator Observer];
    BackupConfiguration "BACKUP_CONFIGURATION" [SystemAdministrator];
    Diagnostics "DIAGNOSTICS" [SystemAdministrator Observer];
    DownloadDiagnosticsReport "DOWNLOAD_DIAGNOSTICS_REPORT" [SystemAdministrator];
    ToggleMaintenanceMode "TOGGLE_MAINTENANCE_MODE" [SystemAdministrator];
    RestoreConfiguration "RESTORE_CONFIGURATION" [SystemAdministrator];
    ViewVersion "VIEW_VERSION" [SecurityOfficer SystemAdministrator RegistrationOfficer ServiceAdministrator Observer];
    ViewNodeType "VIEW_NODE_TYPE" [SecurityOfficer SystemAdministrator RegistrationOfficer ServiceAdministrator Observer];
    ChangeSsAddress "CHANGE_SS_ADDRESS" [SystemAdministrator];
    // What X-Road does not have.
    CheckAccess "CHECK_ACCESS" [SecurityOfficer RegistrationOfficer SystemAdministrator ServiceAdministrator Observer];
    ViewMessages "VIEW_MESSAGES" [SecurityOfficer];
    ViewTraffic "VIEW_TRAFFIC" [SystemAdministrator ServiceAdministrator Observer];
}

/// The table as text: a line for each permission with the roles that have it.
pub fn table() -> String {
    let line = |permission: &Permission| {
        let roles: Vec<&str> = permission.roles().iter().map(|role| role.name()).collect();
        format!("{}: {}\n", permission.name(), roles.join(", "))
    };
    Permission::ALL.iter().map(line).collect()
}
