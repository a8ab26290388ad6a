//! Loaded PKCS#11 libraries. A library is initialised once in a process, whatever number of its tokens are
//! in use.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};

/// A library is started anew at most this often: it disturbs the other tokens that it serves.
const BETWEEN_STARTS: Duration = Duration::from_secs(3);

/// One loaded library.
pub(super) struct Library {
    path: PathBuf,
    context: RwLock<Pkcs11>,
    generation: AtomicU64,
    started: Mutex<Instant>,
}

/// The right to call into a library; it is not started anew meanwhile.
pub(super) struct Access<'a> {
    context: RwLockReadGuard<'a, Pkcs11>,
    generation: u64,
}

/// Libraries in use. They stay loaded: many cannot be loaded twice.
static LOADED: Mutex<Vec<Arc<Library>>> = Mutex::new(Vec::new());

impl Library {
    /// Loads and initialises a library, or gives the one that is loaded.
    pub(super) fn load(path: &Path) -> Result<Arc<Self>, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.iter().find(|library| library.path == path) {
            return Ok(Arc::clone(library));
        }
        let context = Pkcs11::new(path)?;
        initialize(&context)?;
        let library = Arc::new(Self {
            path: path.to_owned(),
            context: RwLock::new(context),
            generation: AtomicU64::new(0),
            started: Mutex::new(Instant::now()),
        });
        loaded.push(Arc::clone(&library));
        Ok(library)
    }

    /// Waits while the library is being started anew.
    pub(super) fn access(&self) -> Access<'_> {
        let context = self.context.read().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation.load(Ordering::Acquire);
        Access { context, generation }
    }

    /// Starts the library anew, since many look for devices only then. Every session of it ends. False when
    /// that was done just now.
    pub(super) fn restart(&self) -> Result<bool, Error> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.elapsed() < BETWEEN_STARTS {
            return Ok(false);
        }
        *started = Instant::now();
        let context = self.context.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        // What it says does not matter: a library that is in no state to end is started all the same.
        let _ = context.clone().finalize();
        initialize(&context).map(|()| true)
    }
}

impl Access<'_> {
    pub(super) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    /// Sessions live as long as this number stays the same.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

fn initialize(context: &Pkcs11) -> Result<(), Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}
