using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

[TestFixture]
internal sealed unsafe class ScratchTests
{
    [Test]
    public void The_same_blocks_come_back_whatever_the_order_of_sizes()
    {
        using Scratch scratch = new();
        nint small = 0, large = 0;
        for (int step = 0; step < 4; step++)
        {
            using Scratch.Loan first = scratch.Rent(step % 2 == 0 ? 100 : 1 << 20), second = scratch.Rent(step % 2 == 0 ? 1 << 20 : 100);
            (nint a, nint b) = step % 2 == 0 ? ((nint)first.Pointer, (nint)second.Pointer) : ((nint)second.Pointer, (nint)first.Pointer);
            if (step > 0) Assert.That((a, b), Is.EqualTo((small, large)));
            (small, large) = (a, b);
        }
    }

    [Test]
    public void A_larger_loan_replaces_the_largest_block()
    {
        using Scratch scratch = new();
        nint small;
        using (Scratch.Loan first = scratch.Rent(100), second = scratch.Rent(10_000))
        {
            small = (nint)first.Pointer;
            Assert.That((long)second.Pointer % 64, Is.Zero);
        }

        using Scratch.Loan large = scratch.Rent(1 << 20), again = scratch.Rent(100);
        ((byte*)large.Pointer)[(1 << 20) - 1] = 1;
        Assert.That((nint)again.Pointer, Is.EqualTo(small));
    }
}
