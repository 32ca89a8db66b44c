//! The functions of Tesseract's C interface (`tesseract/capi.h`) that are used.

use libloading::Library;
use std::ffi::{c_char, c_float, c_int, c_uchar, c_void};

/// A `TessBaseAPI*`.
pub(super) type Api = *mut c_void;
/// An `ETEXT_DESC*`.
pub(super) type Monitor = *mut c_void;
/// A `TessResultIterator*`, and the `TessPageIterator*` that is a view of it.
pub(super) type Results = *mut c_void;

macro_rules! functions {
    ($($field:ident = $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// The functions of a loaded library. They must not be called once it is closed.
            pub(super) fn of(library: &Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the types are those of capi.h, which Tesseract 4 and 5 share.
                    $($field: *unsafe { library.get($symbol)? },)*
                })
            }
        }
    };
}

functions! {
    create = "TessBaseAPICreate" () -> Api;
    delete = "TessBaseAPIDelete" (Api);
    init = "TessBaseAPIInit2" (Api, *const c_char, *const c_char, c_int) -> c_int;
    set_variable = "TessBaseAPISetVariable" (Api, *const c_char, *const c_char) -> c_int;
    set_segmentation = "TessBaseAPISetPageSegMode" (Api, c_int);
    set_image = "TessBaseAPISetImage" (Api, *const c_uchar, c_int, c_int, c_int, c_int);
    set_resolution = "TessBaseAPISetSourceResolution" (Api, c_int);
    recognize = "TessBaseAPIRecognize" (Api, Monitor) -> c_int;
    clear = "TessBaseAPIClear" (Api);
    results = "TessBaseAPIGetIterator" (Api) -> Results;
    results_delete = "TessResultIteratorDelete" (Results);
    results_next = "TessResultIteratorNext" (Results, c_int) -> c_int;
    text = "TessResultIteratorGetUTF8Text" (Results, c_int) -> *mut c_char;
    confidence = "TessResultIteratorConfidence" (Results, c_int) -> c_float;
    text_delete = "TessDeleteText" (*const c_char);
    place = "TessResultIteratorGetPageIterator" (Results) -> Results;
    begins = "TessPageIteratorIsAtBeginningOf" (Results, c_int) -> c_int;
    bounds = "TessPageIteratorBoundingBox" (Results, c_int, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int;
    baseline = "TessPageIteratorBaseline" (Results, c_int, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int;
    orientation = "TessPageIteratorOrientation" (Results, *mut c_int, *mut c_int, *mut c_int, *mut c_float);
    monitor_create = "TessMonitorCreate" () -> Monitor;
    monitor_delete = "TessMonitorDelete" (Monitor);
    monitor_deadline = "TessMonitorSetDeadlineMSecs" (Monitor, c_int);
}
