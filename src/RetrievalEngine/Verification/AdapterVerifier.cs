using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Verification;

/// <summary>Compares an adapter stored as <c>adapter_model.bin</c> with the one of the same base in <c>training/NAME/adapter</c>, tensor by tensor.</summary>
public static class AdapterVerifier
{
    /// <summary>Whether <paramref name="folder"/> holds such an adapter.</summary>
    public static bool Accepts(string folder) => File.Exists(Path.Combine(folder, TorchFile.AdapterFile)) && File.Exists(Path.Combine(folder, AdapterConfig.FileName));

    /// <summary>One item: how many tensors differ.</summary>
    public static IEnumerable<VerificationItem> Verify(string folder, string item) => Run.Guarded(item, () =>
    {
        using Adapter adapter = Adapter.Load(folder);
        string name = Path.GetFileName(adapter.Config.BaseModelNameOrPath ?? "");
        if (Find(folder, Path.Combine("training", name, "adapter")) is not { } other) return [VerificationItem.Skip(item, $"training/{name}/adapter is not there to compare with")];
        using Adapter expected = Adapter.Load(other);
        string[] different = [.. expected.Weights.Tensors.Select(t => t.Name).Where(tensor => !IsEqual(adapter.Weights, expected.Weights, tensor))];
        int extra = adapter.Weights.Tensors.Count(tensor => !expected.Weights.Contains(tensor.Name));
        return [VerificationItem.Of(item, "tensors that differ", different.Length + extra, 0, different.FirstOrDefault() ?? $"{expected.Weights.Tensors.Count} tensors")];
    });

    private static bool IsEqual(TensorFile actual, TensorFile expected, string name) =>
        actual.Contains(name) && actual.Find(name).Shape == expected.Find(name).Shape && actual.ReadFloat32(name).AsSpan().SequenceEqual(expected.ReadFloat32(name));

    private static string? Find(string folder, string relative)
    {
        for (DirectoryInfo? d = new(Path.GetFullPath(folder)); d is not null; d = d.Parent)
        {
            string path = Path.Combine(d.FullName, relative);
            if (Directory.Exists(path)) return path;
        }

        return null;
    }
}
