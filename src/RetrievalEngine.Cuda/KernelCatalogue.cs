using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Where kernels come from: <c>&lt;op&gt;.fatbin</c> in the folder that <see cref="FolderVariable"/> names (compiled on this machine, or the stand-ins of the
/// emulated driver), else the files that were embedded when this assembly was built. A file is loaded when one of its kernels is first launched.
/// </summary>
internal sealed class KernelCatalogue(CudaDevice device) : IDisposable
{
    /// <summary>The environment variable with a folder of fatbins.</summary>
    public const string FolderVariable = "RETRIEVAL_KERNELS";

    private const string Extension = ".fatbin";
    private readonly Dictionary<string, CudaModule> _modules = [];

    /// <summary>Why there is no kernel at all; null where there are some.</summary>
    public static string? Missing =>
        Folder is { } folder
            ? Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*" + Extension).Any() ? null
            : $"{FolderVariable} is {folder}, which holds no *{Extension}"
            : Resources.Any(name => name.EndsWith(Extension, StringComparison.Ordinal)) ? null
            : $"this build holds no kernels, because nvcc was not there; cmake/get-cuda.sh gets it, or let {FolderVariable} name a folder of them";

    /// <summary>Where the kernels are, in words.</summary>
    public static string Description => Missing ?? (Folder is { } folder ? $"in {folder} ({FolderVariable})" : "built into this program");

    private static string? Folder => Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } folder ? folder : null;

    private static string[] Resources { get; } = typeof(KernelCatalogue).Assembly.GetManifestResourceNames();

    /// <summary>Kernel <paramref name="kernel"/> of <c>kernels/<paramref name="file"/>.cu</c>.</summary>
    /// <exception cref="CudaException">The file or the kernel is missing, or holds no code for the device.</exception>
    public CudaFunction Function(string file, ReadOnlySpan<char> kernel)
    {
        if (!_modules.TryGetValue(file, out CudaModule? module))
            _modules[file] = module = new CudaModule(file + Extension, Image(file + Extension), device);
        return module.Function(kernel);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (CudaModule module in _modules.Values) module.Dispose();
        _modules.Clear();
    }

    private static byte[] Image(string name)
    {
        if (Folder is { } folder)
        {
            string path = Path.Combine(folder, name);
            return File.Exists(path) ? File.ReadAllBytes(path) : throw new CudaException($"CUDA: there is no {name} in {folder} ({FolderVariable})");
        }

        using Stream? resource = Assembly.GetExecutingAssembly().GetManifestResourceStream(name);
        if (resource is null) throw new CudaException($"CUDA: this build holds no {name}");
        byte[] image = new byte[resource.Length];
        resource.ReadExactly(image);
        return image;
    }
}
