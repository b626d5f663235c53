using System.Collections.Generic;
using System.IO;

namespace RetrievalEngine.TestKit;

/// <summary>The emulated driver, for programs started by tests.</summary>
public static class EmulatedCuda
{
    /// <summary>The folder of the emulated driver; null where it was not built.</summary>
    public static string? Folder => CudaLibrary.Root is { } root && Path.Combine(root, "out", "emulate") is var folder
        && File.Exists(Path.Combine(folder, "libcuda-emulated.so")) ? folder : null;

    /// <summary>
    /// The environment variables with which a program finds it, or its <paramref name="isChecked"/> twin, whose launches fail where kernels race. Where it was
    /// not built the test is ignored, or fails in CI unless .ci/run says that its tools could not be downloaded.
    /// </summary>
    public static Dictionary<string, string?> Variables(bool isChecked = false)
    {
        if (Folder is null) CiGate.SkipOrFail("there is no emulated driver; ./build.sh test makes it with cmake and g++");
        return new()
        {
            ["RETRIEVAL_LIBCUDA"] = Path.Combine(Folder!, isChecked ? "libcuda-emulated-checked.so" : "libcuda-emulated.so"),
            ["RETRIEVAL_KERNELS"] = Path.Combine(Folder!, "kernels"),
        };
    }
}
