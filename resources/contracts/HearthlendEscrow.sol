// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Escrow from which work is paid by cumulative vouchers
/// @notice A payer deposits the native token or an ERC-20, and signs vouchers off chain: "since the beginning, this payee has earned so much for this
/// worker's work". Whoever has a voucher may claim it; what exceeds the amount claimed before goes to the payee and to nobody else. What the
/// escrow can't cover stays owed. Nobody owns or can change this contract.
/// What is in a payer's deposit secures nobody: the payer could pay it out to another worker at once. What is earmarked for a channel and doesn't thaw
/// secures that channel: nothing but its own vouchers, or the thawing time, takes it away.
/// @dev Tokens whose balances change by themselves (rebasing) are not supported; what a token takes as a fee on transfer is borne by who receives.
contract HearthlendEscrow is EIP712, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// @notice Since the beginning of its channel, `payee` has earned `cumulativeAmount` for the work of `worker`.
    /// @param asset the ERC-20's address; zero: the native token
    /// @param epoch counts the vouchers of a channel, from 1
    /// @param previousVoucher the struct hash of the voucher before; zero for the first
    /// @param receiptsRoot Merkle root over the receipts that this epoch adds
    struct Voucher {
        address payer;
        address worker;
        address payee;
        address asset;
        uint64 epoch;
        bytes32 previousVoucher;
        uint256 cumulativeAmount;
        bytes32 receiptsRoot;
        uint64 receiptCount;
    }

    /// @dev What a payer has of an asset that no channel has to itself. `thawing` is a part of `balance`, which may be withdrawn from `thawedAt` on
    /// and pays vouchers until it is.
    struct Deposit {
        uint256 balance;
        uint256 thawing;
        uint64 thawedAt;
    }

    /// @dev What a channel has to itself. `thawing` is a part of `amount`, as above.
    struct Earmark {
        uint256 amount;
        uint256 thawing;
        uint64 thawedAt;
    }

    bytes32 private constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(address payer,address worker,address payee,address asset,uint64 epoch,bytes32 previousVoucher,uint256 cumulativeAmount,bytes32 receiptsRoot,uint64 receiptCount)"
    );

    address private constant NATIVE = address(0);
    uint64 private constant NEVER = type(uint64).max;

    /// @notice How long (seconds) what is to be taken back still pays vouchers first: for whoever holds one to come and claim it.
    uint64 public immutable thawSeconds;

    /// @notice What each channel was paid since the beginning, in base units of its asset.
    mapping(bytes32 channel => uint256 amount) public claimed;

    mapping(address payer => mapping(address asset => Deposit deposit)) private _deposits;
    mapping(bytes32 channel => Earmark earmark) private _earmarks;
    /// @dev Until when a signer's vouchers count (exclusive); 0: they never did.
    mapping(address payer => mapping(address signer => uint64 until)) private _signers;

    event Deposited(address indexed payer, address indexed asset, uint256 amount);
    event ThawingStarted(address indexed payer, address indexed asset, uint256 amount, uint64 thawedAt);
    event ThawingCancelled(address indexed payer, address indexed asset);
    event Withdrawn(address indexed payer, address indexed asset, address to, uint256 amount);
    event Earmarked(bytes32 indexed channel, address indexed payer, address worker, address payee, address asset, uint256 amount);
    event EarmarkThawingStarted(bytes32 indexed channel, uint256 amount, uint64 thawedAt);
    event EarmarkReleased(bytes32 indexed channel, uint256 amount);
    event SignerAuthorised(address indexed payer, address indexed signer);
    event SignerRevoked(address indexed payer, address indexed signer, uint64 until);
    event Claimed(bytes32 indexed channel, address indexed payee, address indexed asset, uint256 amount, uint256 cumulativeAmount, uint256 owed);

    error AmountZero();
    error AmountOver(uint256 available);
    error NotThawed(uint64 thawedAt);
    error NothingThawing();
    error SignatureInvalid();
    error SignerUnknown(address signer);
    /// @notice The voucher adds nothing to what was claimed before: it is older, or was claimed already.
    error NothingToClaim(uint256 claimedBefore);
    /// @notice The voucher is good, and there is nothing to pay it with.
    error EscrowEmpty(uint256 owed);
    error PayeeZero();

    /// @param thawSeconds_ from an hour to 90 days
    constructor(uint64 thawSeconds_) EIP712("Hearthlend Escrow", "1") {
        require(thawSeconds_ >= 1 hours && thawSeconds_ <= 90 days, "thawSeconds");
        thawSeconds = thawSeconds_;
    }

    // Deposits

    /// @notice Adds the native token that is sent along to the sender's deposit.
    function deposit() external payable {
        if (msg.value == 0) revert AmountZero();
        _deposits[msg.sender][NATIVE].balance += msg.value;
        emit Deposited(msg.sender, NATIVE, msg.value);
    }

    /// @notice Adds what arrives of an ERC-20 to the sender's deposit: for a token with a fee that is less than `amount`.
    function depositToken(IERC20 token, uint256 amount) external nonReentrant {
        if (amount == 0) revert AmountZero();
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 arrived = token.balanceOf(address(this)) - before;
        if (arrived == 0) revert AmountZero();
        _deposits[msg.sender][address(token)].balance += arrived;
        emit Deposited(msg.sender, address(token), arrived);
    }

    /// @notice Starts the thawing of `amount` of the sender's deposit, in place of any that thaws already. It pays vouchers until it is withdrawn.
    function startWithdrawal(address asset, uint256 amount) external {
        Deposit storage own = _deposits[msg.sender][asset];
        if (amount == 0) revert AmountZero();
        if (amount > own.balance) revert AmountOver(own.balance);
        own.thawing = amount;
        own.thawedAt = uint64(block.timestamp) + thawSeconds;
        emit ThawingStarted(msg.sender, asset, amount, own.thawedAt);
    }

    /// @notice Leaves what thaws where it is.
    function cancelWithdrawal(address asset) external {
        Deposit storage own = _deposits[msg.sender][asset];
        if (own.thawing == 0) revert NothingThawing();
        own.thawing = 0;
        emit ThawingCancelled(msg.sender, asset);
    }

    /// @notice Pays out what has thawed, as far as vouchers have left it.
    function withdraw(address asset, address to) external nonReentrant {
        if (to == address(0)) revert PayeeZero();
        Deposit storage own = _deposits[msg.sender][asset];
        uint256 amount = own.thawing;
        if (amount == 0) revert NothingThawing();
        if (block.timestamp < own.thawedAt) revert NotThawed(own.thawedAt);
        own.thawing = 0;
        own.balance -= amount;
        emit Withdrawn(msg.sender, asset, to, amount);
        _send(asset, to, amount);
    }

    // Earmarks

    /// @notice Sets `amount` of the sender's deposit, of what doesn't thaw, aside for one channel: no other's voucher is paid from it.
    function earmark(address worker, address payee, address asset, uint256 amount) external {
        Deposit storage own = _deposits[msg.sender][asset];
        if (amount == 0) revert AmountZero();
        uint256 available = own.balance - own.thawing;
        if (amount > available) revert AmountOver(available);
        bytes32 channel = channelOf(msg.sender, worker, payee, asset);
        own.balance -= amount;
        _earmarks[channel].amount += amount;
        emit Earmarked(channel, msg.sender, worker, payee, asset, amount);
    }

    /// @notice Starts the thawing of a part of an earmark, in place of any that thaws already. It pays its channel's vouchers until it is released.
    function startRelease(address worker, address payee, address asset, uint256 amount) external {
        bytes32 channel = channelOf(msg.sender, worker, payee, asset);
        Earmark storage mark = _earmarks[channel];
        if (amount == 0) revert AmountZero();
        if (amount > mark.amount) revert AmountOver(mark.amount);
        mark.thawing = amount;
        mark.thawedAt = uint64(block.timestamp) + thawSeconds;
        emit EarmarkThawingStarted(channel, amount, mark.thawedAt);
    }

    /// @notice Puts what has thawed of an earmark back into the sender's deposit.
    function release(address worker, address payee, address asset) external {
        bytes32 channel = channelOf(msg.sender, worker, payee, asset);
        Earmark storage mark = _earmarks[channel];
        uint256 amount = mark.thawing;
        if (amount == 0) revert NothingThawing();
        if (block.timestamp < mark.thawedAt) revert NotThawed(mark.thawedAt);
        mark.thawing = 0;
        mark.amount -= amount;
        _deposits[msg.sender][asset].balance += amount;
        emit EarmarkReleased(channel, amount);
    }

    // Signers

    /// @notice From now on vouchers that `signer` signs are the sender's. The sender's own always are.
    function authoriseSigner(address signer) external {
        if (signer == address(0)) revert SignerUnknown(signer);
        _signers[msg.sender][signer] = NEVER;
        emit SignerAuthorised(msg.sender, signer);
    }

    /// @notice Vouchers of `signer` count for the thawing time more, so that those who hold one can claim it.
    function revokeSigner(address signer) external {
        if (_signers[msg.sender][signer] != NEVER) revert SignerUnknown(signer);
        uint64 until = uint64(block.timestamp) + thawSeconds;
        _signers[msg.sender][signer] = until;
        emit SignerRevoked(msg.sender, signer, until);
    }

    // Claims

    /// @notice Pays a voucher: what exceeds the amount claimed before, as far as the escrow has it. Anyone may send it; it goes to its payee.
    /// @return paid in base units
    function claim(Voucher calldata voucher, bytes calldata signature) external nonReentrant returns (uint256 paid) {
        uint256 before;
        (paid, before) = _claim(voucher, signature);
        if (voucher.cumulativeAmount <= before) revert NothingToClaim(before);
        if (paid == 0) revert EscrowEmpty(voucher.cumulativeAmount - before);
    }

    /// @notice Pays many vouchers. One that adds nothing, or that nothing can pay, is passed over: somebody may have been faster.
    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external nonReentrant returns (uint256[] memory paid) {
        if (vouchers.length != signatures.length) revert SignatureInvalid();
        paid = new uint256[](vouchers.length);
        for (uint256 i = 0; i < vouchers.length; ++i) (paid[i],) = _claim(vouchers[i], signatures[i]);
    }

    function _claim(Voucher calldata voucher, bytes calldata signature) private returns (uint256 paid, uint256 before) {
        if (voucher.payee == address(0)) revert PayeeZero();
        _checkSignature(voucher, signature);
        bytes32 channel = channelOf(voucher.payer, voucher.worker, voucher.payee, voucher.asset);
        before = claimed[channel];
        if (voucher.cumulativeAmount <= before) return (0, before);
        uint256 due = voucher.cumulativeAmount - before;
        paid = _take(voucher.payer, voucher.asset, channel, due);
        if (paid == 0) return (0, before);
        claimed[channel] = before + paid;
        emit Claimed(channel, voucher.payee, voucher.asset, paid, before + paid, due - paid);
        _send(voucher.asset, voucher.payee, paid);
    }

    /// @dev Takes up to `due` from the channel's earmark, then from the payer's deposit; what thaws goes last.
    function _take(address payer, address asset, bytes32 channel, uint256 due) private returns (uint256 taken) {
        Earmark storage mark = _earmarks[channel];
        taken = due < mark.amount ? due : mark.amount;
        if (taken > 0) {
            mark.amount -= taken;
            if (mark.thawing > mark.amount) mark.thawing = mark.amount;
        }
        Deposit storage own = _deposits[payer][asset];
        uint256 rest = due - taken;
        if (rest > own.balance) rest = own.balance;
        if (rest > 0) {
            own.balance -= rest;
            if (own.thawing > own.balance) own.thawing = own.balance;
            taken += rest;
        }
    }

    function _checkSignature(Voucher calldata voucher, bytes calldata signature) private view {
        bytes32 digest = _hashTypedDataV4(voucherHash(voucher));
        // A payer that is a contract says itself what it has signed (EIP-1271).
        if (SignatureChecker.isValidSignatureNowCalldata(voucher.payer, digest, signature)) return;
        if (signature.length < 65) revert SignatureInvalid();
        (address signer, bool readable) = _recover(digest, signature);
        if (!readable) revert SignatureInvalid();
        if (block.timestamp >= _signers[voucher.payer][signer]) revert SignerUnknown(signer);
    }

    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address signer, bool readable) {
        ECDSA.RecoverError failure;
        (signer, failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return (signer, failure == ECDSA.RecoverError.NoError);
    }

    function _send(address asset, address to, uint256 amount) private {
        if (asset == NATIVE) Address.sendValue(payable(to), amount);
        else IERC20(asset).safeTransfer(to, amount);
    }

    // What anyone may read

    /// @notice The channel of these four on this contract: `claimed` and earmarks are kept by it.
    function channelOf(address payer, address worker, address payee, address asset) public view returns (bytes32) {
        return keccak256(abi.encode(payer, worker, payee, asset, _domainSeparatorV4()));
    }

    /// @notice The EIP-712 struct hash by which the next voucher names this one.
    function voucherHash(Voucher calldata voucher) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                VOUCHER_TYPEHASH,
                voucher.payer,
                voucher.worker,
                voucher.payee,
                voucher.asset,
                voucher.epoch,
                voucher.previousVoucher,
                voucher.cumulativeAmount,
                voucher.receiptsRoot,
                voucher.receiptCount
            )
        );
    }

    /// @notice What a payer's deposit holds beside earmarks, how much of it thaws, and until when.
    function depositOf(address payer, address asset) external view returns (uint256 balance, uint256 thawing, uint64 thawedAt) {
        Deposit storage own = _deposits[payer][asset];
        return (own.balance, own.thawing, own.thawing == 0 ? 0 : own.thawedAt);
    }

    /// @notice What is set aside for a channel, how much of it thaws, and until when.
    function earmarkOf(bytes32 channel) external view returns (uint256 amount, uint256 thawing, uint64 thawedAt) {
        Earmark storage mark = _earmarks[channel];
        return (mark.amount, mark.thawing, mark.thawing == 0 ? 0 : mark.thawedAt);
    }

    /// @notice Until when (seconds since 1970, exclusive) vouchers of a signer count for a payer; the largest number: until it is revoked.
    function signerUntil(address payer, address signer) external view returns (uint64) {
        return payer == signer ? NEVER : _signers[payer][signer];
    }
}
