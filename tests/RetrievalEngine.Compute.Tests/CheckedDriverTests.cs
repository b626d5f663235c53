using System;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

/// <summary>
/// The op fixtures once more on the emulated GPU that watches every access to memory, where two threads that touch a word without a barrier between them fail
/// the launch: a race that goes well nearly always passes everywhere else. In BF16, and in F32 what does not take minutes there and runs other code in F32.
/// </summary>
[TestFixture]
internal sealed class CheckedDriverTests
{
    private const string Bfloat16 = "(TestCategory=Ops)&(FullyQualifiedName~BF16)";

    private const string Float32 =
        "(TestCategory=Ops)&(FullyQualifiedName~CUDA)&(FullyQualifiedName~F32)&(FullyQualifiedName!~ScoreTopK)&(FullyQualifiedName!~Attention)&(FullyQualifiedName!~.MatMul)";

    [TestCase("BF16", Bfloat16)]
    [TestCase("F32", Float32)]
    public async Task No_op_has_a_race(string dtype, string filter)
    {
        if (!CudaLibrary.IsEmulated) Assert.Ignore(CudaLibrary.Missing ?? "a GPU's driver cannot watch accesses: compute-sanitizer does (bench/gpu/run.sh)");
        await ChildFixtures.RunAsync($"checked {dtype}", filter, EmulatedCuda.Variables(isChecked: true), TimeSpan.FromMinutes(8));
    }
}
