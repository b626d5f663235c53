using System;
using System.Runtime.InteropServices;
using unsafe Sgemm = delegate* unmanaged<int, int, int, int, int, int, float, float*, int, float*, int, float, float*, int, void>;

namespace RetrievalEngine.Bench;

/// <summary>OpenBLAS as Debian's libopenblas0-pthread installs it, at its best: nothing preset may choose a smaller kernel.</summary>
internal static unsafe partial class OpenBlas
{
    private const string Name = "libopenblas.so.0";
    private static readonly string[] s_presets = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"];
    private static Sgemm s_sgemm;
    private static delegate* unmanaged<int, void> s_setThreads;

    /// <summary>Loads it, or says why not.</summary>
    public static bool TryLoad(out string description)
    {
        if (!OperatingSystem.IsLinux())
        {
            description = "OpenBLAS: looked for on Linux only";
            return false;
        }

        // Read by the library when it is loaded; .NET's own environment is a copy.
        foreach (string variable in s_presets) _ = UnsetEnvironment(variable);
        if (!NativeLibrary.TryLoad(Name, out nint library))
        {
            description = $"OpenBLAS: {Name} not found; apt-get install libopenblas0-pthread";
            return false;
        }

        s_sgemm = (Sgemm)NativeLibrary.GetExport(library, "cblas_sgemm");
        s_setThreads = (delegate* unmanaged<int, void>)NativeLibrary.GetExport(library, "openblas_set_num_threads");
        var config = (delegate* unmanaged<byte*>)NativeLibrary.GetExport(library, "openblas_get_config");
        var core = (delegate* unmanaged<byte*>)NativeLibrary.GetExport(library, "openblas_get_corename");
        description = $"{Marshal.PtrToStringUTF8((nint)config())}; core {Marshal.PtrToStringUTF8((nint)core())}";
        return true;
    }

    /// <summary>Threads of the next products.</summary>
    public static void SetThreads(int threads) => s_setThreads(threads);

    /// <summary>c [m, n] = a [m, k] · b [n, k]ᵀ, row-major.</summary>
    public static void MultiplyTransposed(int m, int n, int k, float* a, float* b, float* c) =>
        s_sgemm(101, 111, 112, m, n, k, 1, a, k, b, k, 0, c, n);

    [LibraryImport("libc", EntryPoint = "unsetenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnsetEnvironment(string name);
}
