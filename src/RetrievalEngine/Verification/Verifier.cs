using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Verification;

/// <summary>Finds everything in a folder or tree that a reference implementation's outputs lie beside, and compares.</summary>
public sealed class Verifier(IBackend backend, VerificationTolerances tolerances)
{
    private readonly ModelVerifier _models = new(backend, tolerances);
    private readonly TrainingVerifier _training = new(backend, tolerances);
    private readonly RerankerVerifier _rerankers = new(backend, tolerances);

    /// <summary>The items of <paramref name="root"/> and all folders below it, in the order of their names.</summary>
    /// <exception cref="InputException">No such folder.</exception>
    public IEnumerable<VerificationItem> Verify(string root)
    {
        if (!Directory.Exists(root)) throw new InputException($"{root}: no such folder; name one in the layout of goldens");
        return Walk(Path.GetFullPath(root), Path.TrimEndingDirectorySeparator(Path.GetFullPath(root)));
    }

    private IEnumerable<VerificationItem> Walk(string folder, string root)
    {
        string item = folder == root ? Path.GetFileName(root) : Path.GetRelativePath(root, folder);
        IEnumerable<VerificationItem>? items = Recognise(folder, item);
        return items ?? Directory.EnumerateDirectories(folder).Order(StringComparer.Ordinal).SelectMany(child => Walk(child, root));
    }

    private IEnumerable<VerificationItem>? Recognise(string folder, string item)
    {
        bool Has(string name) => File.Exists(Path.Combine(folder, name));
        if (TrainingVerifier.Accepts(folder)) return _training.Verify(folder, item);
        if (RerankerVerifier.Accepts(folder)) return _rerankers.Verify(folder, item);
        if (ModelVerifier.Accepts(folder)) return _models.Verify(folder, item);
        if (TokenizerVerifier.Recognises(folder)) return Run.Guarded(item, () => [.. TokenizerVerifier.Verify(folder).Select(i => i with { Item = $"{item} {Path.GetFileName(i.Item)}" })]);
        if (Has("expected.jsonl") && Has("qrels.txt")) return Run.Guarded(item, () => [.. MetricsVerifier.Verify(folder).Select(i => i with { Item = $"{item} {Path.GetFileName(i.Item)}" })]);
        if (AdapterVerifier.Accepts(folder)) return AdapterVerifier.Verify(folder, item);
        return null;
    }
}
