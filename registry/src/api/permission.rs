//! What an administrator may do at a registry, and which roles may (registry and administration §5.4).
//!
//! Names and roles of the first part are X-Road's, so that tools which read `GET /user` decide as they
//! do there. The second part guards what X-Road lacks. Which operation asks for which permission stands
//! beside the operation; the whole table is `docs/api/registry-permissions.txt`.

use administration::access::{self, Role};

const SO: Role = Role::SecurityOfficer;
const RO: Role = Role::RegistrationOfficer;
const SYS: Role = Role::SystemAdministrator;
const MGMT: Role = Role::ManagementService;

macro_rules! permissions {
    ($($name:ident = $text:literal: $($role:ident)+;)*) => {
        /// A permission.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Permission {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Permission {
            /// All of them, in the order of this file.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }

        impl access::Permission for Permission {
            fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn roles(self) -> &'static [Role] {
                match self { $(Self::$name => &[$($role),+],)* }
            }

            fn all() -> &'static [Self] {
                Self::ALL
            }
        }
    };
}

permissions! {
    InitConfig = "INIT_CONFIG": SYS SO;
    SearchMembers = "SEARCH_MEMBERS": SO RO;
    ViewMembers = "VIEW_MEMBERS": RO;
    AddNewMember = "ADD_NEW_MEMBER": RO;
    ViewMemberDetails = "VIEW_MEMBER_DETAILS": RO;
    EditMemberName = "EDIT_MEMBER_NAME": RO;
    AddMemberSubsystem = "ADD_MEMBER_SUBSYSTEM": RO;
    RemoveMemberSubsystem = "REMOVE_MEMBER_SUBSYSTEM": RO;
    EditMemberSubsystem = "EDIT_MEMBER_SUBSYSTEM": RO;
    UnregisterMember = "UNREGISTER_MEMBER": RO;
    UnregisterSubsystem = "UNREGISTER_SUBSYSTEM": RO;
    AddClientRegistrationRequest = "ADD_CLIENT_REGISTRATION_REQUEST": RO MGMT;
    AddClientDeletionRequest = "ADD_CLIENT_DELETION_REQUEST": RO MGMT;
    DeleteMember = "DELETE_MEMBER": RO;
    ViewSecurityServers = "VIEW_SECURITY_SERVERS": RO;
    ViewSecurityServerDetails = "VIEW_SECURITY_SERVER_DETAILS": RO;
    EditSecurityServerAddress = "EDIT_SECURITY_SERVER_ADDRESS": RO;
    AddAuthCertRegistrationRequest = "ADD_AUTH_CERT_REGISTRATION_REQUEST": RO MGMT;
    AddAuthCertDeletionRequest = "ADD_AUTH_CERT_DELETION_REQUEST": RO MGMT;
    DeleteSecurityServer = "DELETE_SECURITY_SERVER": RO;
    DeleteSecurityServerAuthCert = "DELETE_SECURITY_SERVER_AUTH_CERT": RO;
    ViewGlobalGroups = "VIEW_GLOBAL_GROUPS": RO;
    AddGlobalGroup = "ADD_GLOBAL_GROUP": RO;
    ViewGroupDetails = "VIEW_GROUP_DETAILS": RO;
    EditGroupDescription = "EDIT_GROUP_DESCRIPTION": RO;
    AddAndRemoveGroupMembers = "ADD_AND_REMOVE_GROUP_MEMBERS": RO;
    DeleteGroup = "DELETE_GROUP": RO;
    ViewApprovedCas = "VIEW_APPROVED_CAS": SYS MGMT;
    ViewApprovedCaDetails = "VIEW_APPROVED_CA_DETAILS": SYS MGMT;
    AddApprovedCa = "ADD_APPROVED_CA": SYS;
    EditApprovedCa = "EDIT_APPROVED_CA": SYS;
    DeleteApprovedCa = "DELETE_APPROVED_CA": SYS;
    ViewApprovedTsas = "VIEW_APPROVED_TSAS": SYS;
    ViewApprovedTsaDetails = "VIEW_APPROVED_TSA_DETAILS": SYS;
    AddApprovedTsa = "ADD_APPROVED_TSA": SYS;
    EditApprovedTsa = "EDIT_APPROVED_TSA": SYS;
    DeleteApprovedTsa = "DELETE_APPROVED_TSA": SYS;
    ViewManagementRequests = "VIEW_MANAGEMENT_REQUESTS": RO;
    ViewManagementRequestDetails = "VIEW_MANAGEMENT_REQUEST_DETAILS": RO;
    ApproveAuthCertRegistrationRequest = "APPROVE_AUTH_CERT_REGISTRATION_REQUEST": RO;
    RevokeAuthCertRegistrationRequest = "REVOKE_AUTH_CERT_REGISTRATION_REQUEST": RO;
    ApproveClientRegistrationRequest = "APPROVE_CLIENT_REGISTRATION_REQUEST": RO;
    RevokeClientRegistrationRequest = "REVOKE_CLIENT_REGISTRATION_REQUEST": RO;
    ApproveOwnerChangeRequest = "APPROVE_OWNER_CHANGE_REQUEST": RO;
    RevokeOwnerChangeRequest = "REVOKE_OWNER_CHANGE_REQUEST": RO;
    ViewMemberClasses = "VIEW_MEMBER_CLASSES": SO RO;
    AddMemberClass = "ADD_MEMBER_CLASS": SO;
    EditMemberClass = "EDIT_MEMBER_CLASS": SO;
    DeleteMemberClass = "DELETE_MEMBER_CLASS": SO;
    ViewConfiguration = "VIEW_CONFIGURATION": SO SYS;
    ViewConfigurationManagement = "VIEW_CONFIGURATION_MANAGEMENT": SYS SO;
    ViewTrustedAnchors = "VIEW_TRUSTED_ANCHORS": SYS SO;
    UploadTrustedAnchor = "UPLOAD_TRUSTED_ANCHOR": SO;
    DeleteTrustedAnchor = "DELETE_TRUSTED_ANCHOR": SO;
    DownloadTrustedAnchor = "DOWNLOAD_TRUSTED_ANCHOR": SYS SO;
    ViewInternalConfigurationSource = "VIEW_INTERNAL_CONFIGURATION_SOURCE": SYS SO;
    ViewExternalConfigurationSource = "VIEW_EXTERNAL_CONFIGURATION_SOURCE": SYS SO;
    GenerateSourceAnchor = "GENERATE_SOURCE_ANCHOR": SO;
    DownloadSourceAnchor = "DOWNLOAD_SOURCE_ANCHOR": SO;
    UploadConfigurationPart = "UPLOAD_CONFIGURATION_PART": SYS SO;
    DownloadConfigurationPart = "DOWNLOAD_CONFIGURATION_PART": SYS SO;
    ActivateToken = "ACTIVATE_TOKEN": SYS SO;
    DeactivateToken = "DEACTIVATE_TOKEN": SYS SO;
    GenerateSigningKey = "GENERATE_SIGNING_KEY": SO;
    ActivateSigningKey = "ACTIVATE_SIGNING_KEY": SO;
    DeleteSigningKey = "DELETE_SIGNING_KEY": SO;
    ViewSystemSettings = "VIEW_SYSTEM_SETTINGS": SO;
    EditCentralServerAddress = "EDIT_CENTRAL_SERVER_ADDRESS": SO;
    RegisterServiceProvider = "REGISTER_SERVICE_PROVIDER": SO;
    BackupConfiguration = "BACKUP_CONFIGURATION": SYS;
    RestoreConfiguration = "RESTORE_CONFIGURATION": SYS;
    ViewTlsCertificates = "VIEW_TLS_CERTIFICATES": SO;
    ViewManagementServiceTlsCert = "VIEW_MANAGEMENT_SERVICE_TLS_CERT": SO;
    DownloadManagementServiceTlsCert = "DOWNLOAD_MANAGEMENT_SERVICE_TLS_CERT": SO;
    GenerateManagementServiceTlsKeyCert = "GENERATE_MANAGEMENT_SERVICE_TLS_KEY_CERT": SO;
    GenerateManagementServiceTlsCsr = "GENERATE_MANAGEMENT_SERVICE_TLS_CSR": SO;
    UploadManagementServiceTlsCert = "UPLOAD_MANAGEMENT_SERVICE_TLS_CERT": SO;
    ImpersonateSecurityServer = "IMPERSONATE_SECURITY_SERVER": MGMT;
    AddOwnerChangeRequest = "ADD_OWNER_CHANGE_REQUEST": MGMT;
    AddAddressChangeRequest = "ADD_ADDRESS_CHANGE_REQUEST": MGMT;
    AddClientDisableRequest = "ADD_CLIENT_DISABLE_REQUEST": MGMT;
    AddClientEnableRequest = "ADD_CLIENT_ENABLE_REQUEST": MGMT;
    AddClientRenameRequest = "ADD_CLIENT_RENAME_REQUEST": MGMT;
    AddMaintenanceModeEnableRequest = "ADD_MAINTENANCE_MODE_ENABLE_REQUEST": MGMT;
    AddMaintenanceModeDisableRequest = "ADD_MAINTENANCE_MODE_DISABLE_REQUEST": MGMT;
    ViewVersion = "VIEW_VERSION": SYS SO RO MGMT;
    CreateApiKey = "CREATE_API_KEY": SYS;
    ViewApiKeys = "VIEW_API_KEYS": SYS;
    UpdateApiKey = "UPDATE_API_KEY": SYS;
    RevokeApiKey = "REVOKE_API_KEY": SYS;

    // What X-Road lacks.
    ViewClassPolicy = "VIEW_CLASS_POLICY": SO RO SYS;
    EditClassPolicy = "EDIT_CLASS_POLICY": SO;
    EditNodeClass = "EDIT_NODE_CLASS": RO;
    SuspendTrustedAnchor = "SUSPEND_TRUSTED_ANCHOR": SO;
    CheckCall = "CHECK_CALL": SO RO;
    AddInvitation = "ADD_INVITATION": RO;
    ViewInvitations = "VIEW_INVITATIONS": RO;
    RevokeInvitation = "REVOKE_INVITATION": RO;
}
