using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>A backend that op fixtures run on.</summary>
/// <param name="Name">As test names show it.</param>
/// <param name="Family">Backends of one family must give the same bits: the same arithmetic on more or fewer threads.</param>
/// <param name="Alignment">Bytes to which a view must be aligned; 1 for any element.</param>
/// <param name="Device">The backend, made when first asked for and shared by all tests.</param>
public sealed record TestBackend(string Name, string Family, int Alignment, Lazy<IBackend> Device)
{
    /// <inheritdoc/>
    public override string ToString() => Name;
}
